/** A machine that runs the storage, and a model that knows what may be found after a crash. */
import { expect } from "vitest";
import { must } from "../../src/lib/assert.ts";
import type { Entry } from "../../src/raft/entry.ts";
import type { Write } from "../../src/raft/message.ts";
import type { Saved } from "../../src/raft/saved.ts";
import { type HardState, NOWHERE, type Position, type SnapshotMeta } from "../../src/raft/types.ts";
import { snapshotName } from "../../src/storage/snapshot-files.ts";
import { SnapshotEncoder } from "../../src/storage/snapshot-format.ts";
import type { SimDisk } from "../sim/disk.ts";
import { chunksOf, meta, openRig, text, write } from "./fixtures.ts";

/** The log and hard state after some number of writes. */
interface State {
  readonly hardState: HardState;
  readonly base: Position;
  readonly entries: readonly Entry[];
}

const EMPTY: State = { hardState: { term: NOWHERE.term, vote: null }, base: NOWHERE, entries: [] };

/** What a snapshot of an index holds here. */
function chunksAt(at: Position): string[] {
  return [`state at ${at.index}@${at.term}`, "x".repeat(600)];
}

/** Runs one process: issues operations, and remembers what was promised. */
export class Machine {
  private readonly rig = openRig();
  readonly pump = this.rig.pump;
  /** States after 0, 1, 2… writes. */
  private readonly states: State[] = [EMPTY];
  private durableWrites = 0;
  private readonly snapshots = new Map<number, SnapshotMeta>();
  private durableSnapshot = 0;

  get disk(): SimDisk {
    return this.rig.disk;
  }

  get latest(): State {
    return must(this.states.at(-1), "never empty");
  }

  write(fields: Partial<Omit<Write, "number">>): void {
    this.states.push(stateAfter(this.latest, write(fields)));
    const count = this.states.length - 1;
    this.rig.storage.wal.write(write(fields), () => {
      expect(count, "acknowledged in order").toBe(this.durableWrites + 1);
      this.durableWrites = count;
    });
  }

  /** Snapshots the state at `index`, then lets go of what the older snapshot covers. */
  save(index: number): void {
    const at = meta(index, must(termAt(this.latest, index), "not in the log"));
    const { snapshots, wal } = this.rig.storage;
    this.snapshots.set(index, at);
    snapshots.save({ meta: at, chunks: chunksAt(at).map(text).values() }, () => {
      this.durableSnapshot = Math.max(this.durableSnapshot, index);
      wal.release(snapshots.releasable);
    });
  }

  /** Receives a snapshot from another node and replaces the log by it. */
  install(at: SnapshotMeta, then: () => void): void {
    const { snapshots } = this.rig.storage;
    const encoder = new SnapshotEncoder(at);
    const parts = [encoder.header()];
    for (const chunk of chunksAt(at).map(text)) parts.push(encoder.chunkHead(chunk), chunk);
    parts.push(encoder.end());
    const bytes = parts.reduce((sum, part) => sum + part.length, 0);
    this.snapshots.set(at.index, at);
    this.disk.append("incoming-n2", parts, () => {
      snapshots.adopt("incoming-n2", { meta: at, bytes }, () => {
        this.durableSnapshot = Math.max(this.durableSnapshot, at.index);
        this.write({ reset: at });
        then();
      });
    });
  }

  /** Fails unless `saved`, found on `disk`, holds all that was promised and nothing invented. */
  check(saved: Saved, disk: SimDisk): void {
    this.checkSnapshot(saved, disk);
    const possible = this.states.slice(this.durableWrites).map((state) => found(state, saved));
    expect(possible).toContain(summary(saved));
  }

  private checkSnapshot({ snapshot }: Saved, disk: SimDisk): void {
    expect(snapshot?.index ?? 0).toBeGreaterThanOrEqual(this.durableSnapshot);
    if (snapshot === null) return;
    expect(snapshot).toEqual(this.snapshots.get(snapshot.index));
    expect(chunksOf(disk, snapshotName(snapshot))).toEqual(chunksAt(snapshot));
  }
}

/** All that was found, in one line: entries as index@term#checksum, which covers their bytes. */
export function summary({ hardState, snapshot, base, entries }: Saved): string {
  const { term, vote } = hardState;
  const log = entries.map(
    (entry) => `${placeOf(entry)}#${Buffer.from(entry.bytes).readUInt32BE()}`,
  );
  const at = snapshot === null ? "-" : placeOf(snapshot);
  return `term=${term} vote=${vote} snapshot=${at} base=${placeOf(base)} ${log.join(" ")}`;
}

function stateAfter(state: State, { hardState, reset, entries }: Write): State {
  let { base } = state;
  let log = [...state.entries];
  if (reset !== null) {
    base = { index: reset.index, term: reset.term };
    log = [];
  }
  for (const entry of entries) {
    log = log.filter((other) => other.index < entry.index);
    log.push(entry);
  }
  return { hardState: hardState ?? state.hardState, base, entries: log };
}

/** What must be found after a crash in `state`, given which snapshot and base were found. */
function found(state: State, { snapshot, base }: Saved): string {
  // The node cannot be in an older term than its state is.
  const isBehind = snapshot !== null && snapshot.term > state.hardState.term;
  const hardState = isBehind ? { term: snapshot.term, vote: null } : state.hardState;
  if (snapshot !== null && termAt(state, snapshot.index) !== snapshot.term) {
    return summary({ hardState, snapshot, base: snapshot, entries: [], doubt: null });
  }
  // Entries behind a snapshot may be gone; which, is for the released segments to say.
  if (base.index > (snapshot?.index ?? 0)) return "a log that begins after the snapshot";
  if (termAt(state, base.index) !== base.term) return "a log that begins with another entry";
  const entries = state.entries.filter(({ index }) => index > base.index);
  return summary({ hardState, snapshot, base, entries, doubt: null });
}

function termAt({ base, entries }: State, index: number): number | undefined {
  if (index === base.index) return base.term;
  return entries.find((entry) => entry.index === index)?.term;
}

function placeOf({ index, term }: Position): string {
  return `${index}@${term}`;
}
