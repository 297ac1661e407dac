/** The log in memory, against a plain array that does the same in the simplest way. */
import { describe, expect, test } from "vitest";
import { Prng } from "../../src/lib/random.ts";
import type { Entry } from "../../src/raft/entry.ts";
import { RaftLog } from "../../src/raft/log.ts";
import { nothingSaved, type Saved } from "../../src/raft/saved.ts";
import {
  asIndex,
  asTerm,
  type ClusterTime,
  type Position,
  type SnapshotMeta,
} from "../../src/raft/types.ts";
import {
  parseConfiguration,
  parseEntries,
  parseEntry,
  parsePosition,
  showEntries,
} from "./notation.ts";

const NO_LIMITS = { entries: 1000, bytes: 1 << 20 };

function metaAt(position: Position): SnapshotMeta {
  const time = (position.index * 1000) as ClusterTime;
  return { ...position, time, configuration: parseConfiguration("{n1}") };
}

function saved(entries: string, snapshot?: string, base = snapshot): Saved {
  return {
    ...nothingSaved,
    entries: parseEntries(entries),
    snapshot: snapshot === undefined ? null : metaAt(parsePosition(snapshot)),
    base: base === undefined ? nothingSaved.base : parsePosition(base),
  };
}

function contents(log: RaftLog): string {
  return showEntries(log.batchFrom(asIndex(log.base.index + 1), NO_LIMITS));
}

describe("a log", () => {
  test("that is empty ends before the first entry", () => {
    const log = new RaftLog(nothingSaved);
    expect([log.lastIndex, log.lastTerm, log.lastTime, log.committed]).toEqual([0, 0, 0, 0]);
    expect(log.has(asIndex(0), asTerm(0))).toBe(true);
    expect(log.termAt(1)).toBeNull();
  });

  test("goes on where it was saved: all on disk, nothing applied after the snapshot", () => {
    const log = new RaftLog(saved("4@2,5@2:a,6@3:b", "5@2", "3@1"));
    expect([log.base.index, log.lastIndex, log.lastTerm]).toEqual([3, 6, 3]);
    expect([log.committed, log.applied, log.durable, log.unwritten]).toEqual([5, 5, 6, 7]);
    expect(log.unappliedBytes).toBe(parseEntry("6@3:b").bytes.length);
    expect([log.termAt(2), log.termAt(3), log.termAt(6), log.termAt(7)]).toEqual([
      null,
      1,
      3,
      null,
    ]);
  });

  test("that ends before its snapshot, or begins after it, is a bug of the recovery", () => {
    expect(() => new RaftLog(saved("1@1", "3@1", "0@0"))).toThrow("ends before the snapshot");
    expect(() => new RaftLog(saved("6@1", "3@1", "5@1"))).toThrow("begins after the snapshot");
  });

  test("takes entries without gaps, and of terms that do not go back", () => {
    const log = new RaftLog(saved("1@2"));
    expect(() => log.append(parseEntry("3@2"))).toThrow("leaves a gap");
    expect(() => log.append(parseEntry("2@1"))).toThrow("term goes back");
  });

  test("keeps what is committed, and commits what is there", () => {
    const log = new RaftLog(saved("1@1,2@1,3@1"));
    log.commitTo(asIndex(2));
    log.commitTo(asIndex(1));
    expect(log.committed).toBe(2);
    expect(() => log.truncateFrom(asIndex(2))).toThrow("truncating committed");
    expect(() => log.commitTo(asIndex(4))).toThrow("past the end");
    expect(() => log.compactTo(asIndex(3), metaAt(parsePosition("3@1")))).toThrow("not applied");
    expect(() => log.resetTo(metaAt(parsePosition("2@1")))).toThrow("older than the log");
  });

  test("hands out each entry once to be written, again only where it was replaced", () => {
    const log = new RaftLog(saved("1@1"));
    log.append(parseEntry("2@1"));
    log.append(parseEntry("3@1"));
    expect(showEntries(log.takeUnwritten())).toBe("2@1,3@1");
    expect(log.takeUnwritten()).toEqual([]);
    log.truncateFrom(asIndex(3));
    log.append(parseEntry("3@2"));
    expect(showEntries(log.takeUnwritten())).toBe("3@2");
  });

  test("hands out to be applied what is committed and on disk, in portions", () => {
    const log = new RaftLog(nothingSaved);
    for (const entry of parseEntries("1@1,2@1,3@1,4@1")) log.append(entry);
    log.commitTo(asIndex(4));
    expect(log.takeCommitted(10)).toEqual([]);
    log.durable = asIndex(3);
    expect(showEntries(log.takeCommitted(2))).toBe("1@1,2@1");
    expect(log.hasCommitted).toBe(true);
    expect(showEntries(log.takeCommitted(2))).toBe("3@1");
    expect(log.hasCommitted).toBe(false);
  });

  test("forgets what a snapshot covers, and nothing else", () => {
    const log = new RaftLog(saved("1@1,2@1,3@2,4@2"));
    log.commitTo(asIndex(3));
    log.takeCommitted(10);
    log.compactTo(asIndex(2), metaAt(parsePosition("3@2")));
    expect([log.base, log.termAt(1), log.termAt(2), contents(log)]).toEqual([
      { index: 2, term: 1 },
      null,
      1,
      "3@2,4@2",
    ]);
    log.compactTo(asIndex(1), metaAt(parsePosition("3@2")));
    expect(log.base.index).toBe(2);
  });

  test("keeps cluster time when a snapshot has taken all entries", () => {
    const log = new RaftLog(saved("1@1,2@1"));
    log.commitTo(asIndex(2));
    log.takeCommitted(10);
    log.compactTo(asIndex(2), metaAt(parsePosition("2@1")));
    expect(log.lastTime).toBe(2000);
    log.resetTo(metaAt(parsePosition("9@1")));
    expect(log.lastTime).toBe(9000);
  });
});

describe("a batch", () => {
  const log = new RaftLog(saved("1@1:aaaa,2@1:bbbb,3@1:cccc,4@1:dddd", undefined));
  const bytes = parseEntry("1@1:aaaa").bytes.length;

  test.each([
    ["all of it", 1, 9, 9, "1@1:aaaa,2@1:bbbb,3@1:cccc,4@1:dddd"],
    ["so many", 2, 2, 9, "2@1:bbbb,3@1:cccc"],
    ["so many bytes", 1, 9, 3, "1@1:aaaa,2@1:bbbb,3@1:cccc"],
    ["at least one, however large", 2, 9, 0, "2@1:bbbb"],
    ["at least one, whatever the limit", 2, 0, 9, "2@1:bbbb"],
    ["nothing at the end", 5, 9, 9, ""],
  ])("holds %s", (_, from, entries, times, expected) => {
    const limits = { entries, bytes: bytes * times };
    expect(showEntries(log.batchFrom(asIndex(from), limits))).toBe(expected);
  });
});

describe("where two logs may agree", () => {
  const log = new RaftLog(saved("4@2,5@2,6@4,7@4,8@7", "3@2"));

  test.each([
    [8, 7, "8@7"],
    [8, 6, "7@4"],
    [7, 3, "5@2"],
    [6, 2, "5@2"],
    [99, 9, "8@7"],
    [8, 1, "3@2"],
    [2, 9, "3@2"],
  ])("at or below %i with a term of at most %i is %s", (index, term, expected) => {
    const found = log.lastWithTermAtMost(asIndex(index), asTerm(term));
    expect(found).toEqual(parsePosition(expected));
  });
});

describe("against a plain array", () => {
  /** What the log must be equal to: every entry ever kept, by index. */
  class Model {
    entries: Entry[] = [];
    base = 0;
    committed = 0;
    applied = 0;
    written = 0;
  }

  function compare(log: RaftLog, model: Model): void {
    const visible = model.entries.slice(model.base);
    expect(contents(log)).toBe(showEntries(visible));
    expect(log.bytes).toBe(visible.reduce((sum, entry) => sum + entry.bytes.length, 0));
    const unapplied = model.entries.slice(model.applied);
    expect(log.unappliedBytes).toBe(unapplied.reduce((sum, entry) => sum + entry.bytes.length, 0));
    expect(log.lastTerm).toBe(model.entries.at(-1)?.term ?? 0);
    expect([log.base.index, log.committed, log.applied, log.unwritten]).toEqual([
      model.base,
      model.committed,
      model.applied,
      model.written + 1,
    ]);
  }

  function step(log: RaftLog, model: Model, random: Prng): void {
    const { length } = model.entries;
    switch (random.below(6)) {
      case 0:
      case 1: {
        const term = (model.entries.at(-1)?.term ?? 1) + random.below(2);
        const entry = parseEntry(`${length + 1}@${term}:${"x".repeat(random.below(9))}`);
        log.append(entry);
        model.entries.push(entry);
        return;
      }
      case 2: {
        const from = random.between(model.committed + 1, length + 1);
        log.truncateFrom(asIndex(from));
        model.entries.length = from - 1;
        model.written = Math.min(model.written, from - 1);
        return;
      }
      case 3:
        expect(log.takeUnwritten()).toEqual(model.entries.slice(model.written));
        model.written = length;
        log.durable = asIndex(length);
        return;
      case 4: {
        model.committed = random.between(model.committed, length);
        log.commitTo(asIndex(model.committed));
        const to = Math.min(model.committed, log.durable, model.applied + 3);
        expect(log.takeCommitted(3)).toEqual(
          model.entries.slice(model.applied, Math.max(to, model.applied)),
        );
        model.applied = Math.max(to, model.applied);
        return;
      }
      default: {
        const to = random.between(model.base, model.applied);
        const at = model.entries[model.applied - 1];
        if (at === undefined) return;
        log.compactTo(asIndex(to), metaAt({ index: at.index, term: at.term }));
        model.base = to;
      }
    }
  }

  test("it does the same, whatever happens", () => {
    const random = new Prng("log");
    for (let run = 0; run < 200; run++) {
      const log = new RaftLog(nothingSaved);
      const model = new Model();
      for (let i = 0; i < 60; i++) {
        step(log, model, random);
        compare(log, model);
      }
    }
  });
});
