/** The checks of watches have seen what is right, and each thing that can be wrong. */
import { describe, expect, test } from "vitest";
import type { Change, Message } from "../watch/validate.ts";
import { end, put } from "./made-up.ts";
import {
  type Connection,
  connectionProblems,
  contradictions,
  historyOf,
  untold,
} from "./watch-checks.ts";

describe("a watch (K1 to K6)", () => {
  const event = (change: Change, id: number | null): Message => ({
    id,
    event: change.kind,
    data:
      change.now === null ? { key: change.key, mod_revision: change.revision } : { ...change.now },
  });
  const mark = (kind: string, revision: number): Message => ({
    id: revision,
    event: kind,
    data: { revision },
  });
  const changes = [put("a", "1", 2), put("a2", "2", 3), put("b", "3", 3), end("delete", "b", 4)];
  const [first, second, third, fourth] = changes as [Change, Change, Change, Change];
  const whole = [
    mark("progress", 1),
    event(first, 2),
    event(second, null),
    event(third, 3),
    event(fourth, 4),
  ];
  const connection = (
    messages: readonly Message[],
    about: Partial<Connection> = {},
  ): Connection => ({
    prefix: "",
    since: 1,
    withPrevious: false,
    messages,
    completeTo: 4,
    ...about,
  });

  test("that told everything has no problems", () => {
    expect(connectionProblems(connection(whole), changes)).toEqual([]);
    const cut = connection(whole.slice(0, 3), { completeTo: null });
    expect(connectionProblems(cut, changes)).toEqual([]);
  });

  test.each<[string, readonly Message[]]>([
    ["left one out", whole.toSpliced(1, 1)],
    ["told one twice", [...whole, event(fourth, 4)]],
    ["changed the order", whole.toSpliced(2, 2, event(third, null), event(second, 3))],
    ["let a resume split a transaction", whole.toSpliced(2, 1, event(second, 3))],
    ["was ahead with its progress", whole.toSpliced(1, 0, mark("progress", 3))],
    ["ended too early", whole.slice(0, 4)],
  ])("that %s is found", (_name, messages) => {
    expect(connectionProblems(connection(messages), changes)).not.toEqual([]);
  });

  const listing = [event(first, null), event(second, null), event(third, null), mark("synced", 3)];
  const listed = { since: null } as const;
  test("that begins with a listing tells the state, and then what follows", () => {
    const good = connection([...listing, event(fourth, 4)], listed);
    expect(connectionProblems(good, changes)).toEqual([]);
    const cut = connection(listing.slice(0, 2), { ...listed, completeTo: null });
    expect(connectionProblems(cut, changes)).toEqual([]);
  });

  test.each<[string, readonly Message[]]>([
    ["a key too few", [...listing.slice(1), event(fourth, 4)]],
    ["a key with an id", [event(first, 2), ...listing.slice(1), event(fourth, 4)]],
    ["a gap behind it", listing],
  ])("whose listing has %s is found", (_name, messages) => {
    expect(connectionProblems(connection(messages, listed), changes)).not.toEqual([]);
  });

  test("says what was before, unless that is forgotten", () => {
    const before = { ...second, before: first.now };
    const about = { withPrevious: true, since: 2 };
    const silent = connection([event(before, null), event(third, 3), event(fourth, 4)], about);
    const history = [first, before, third, fourth];
    expect(connectionProblems(silent, history, 2)).toHaveLength(1);
    expect(connectionProblems(silent, history, 3)).toEqual([]);
  });

  test("tells a history, whichever connections it came over", () => {
    const cut = connection(whole.slice(0, 3), { completeTo: null });
    const rest = connection(whole.slice(2), { since: 2 });
    const history = historyOf([cut, rest]);
    expect(contradictions(history, changes, 0)).toEqual([]);
    expect(history.at(-1)?.before).toEqual(third.now);
  });

  test("that differs from the disk is found", () => {
    expect(contradictions(changes.slice(1), changes, 0)).toHaveLength(1);
    expect(contradictions(changes, changes.slice(1), 0)).toHaveLength(1);
    expect(contradictions([...changes, put("z", "1", 5)], changes, 0)).toHaveLength(1);
    expect(contradictions(changes, changes.slice(1), 2)).toEqual([]);
  });

  test("that nobody was told of an acknowledged write is found", () => {
    expect(untold([{ key: "a", value: "1", revision: 2 }], changes)).toEqual([]);
    expect(untold([{ key: "a", value: "1", revision: 3 }], changes)).toHaveLength(1);
    expect(untold([{ key: "a", value: "9", revision: 2 }], changes)).toHaveLength(1);
  });
});
