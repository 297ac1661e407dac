/** The hub of watches: what it tells whom, when, and what it never does (K1 to K8). */
import { describe, expect, test } from "vitest";
import { key } from "../kv/fixtures.ts";
import type { EventKind } from "../../src/watch/selection.ts";
import { type Asked, type Client, everything, prng, World } from "./world.ts";

const SOME_MS = 1_000;

function eventsOf({ client }: Asked): string[] {
  return client.reader.messages
    .filter(({ event }) => event !== "progress")
    .map(
      ({ event, data, id }) => `${id} ${event} ${(data["key"] ?? data["code"] ?? "") as string}`,
    );
}

function bookmarksOf({ client }: Asked): unknown[] {
  const { messages } = client.reader;
  return messages.filter(({ event }) => event === "progress").map(({ id }) => id);
}

function full(client: Client): void {
  client.room = 1;
}

describe("what is told", () => {
  test("only what came after, in order, with an id at the end of each revision", () => {
    const world = new World();
    world.put("a", "old");
    const asked = world.open();
    world.transact([
      { name: "a", value: "1" },
      { name: "b", value: "2" },
    ]);
    world.delete("a");
    world.clock.pass(SOME_MS);
    expect(eventsOf(asked)).toEqual(["null put a", "3 put b", "4 delete a"]);
    expect(world.problems(asked, 4)).toEqual([]);
  });

  test("that a lease was over is another kind of event than a delete", () => {
    const world = new World();
    const asked = world.open();
    world.expire(["b", "a"], 7);
    world.clock.pass(SOME_MS);
    expect(eventsOf(asked).slice(-2)).toEqual(["null expire a", "4 expire b"]);
    expect(world.problems(asked, 4)).toEqual([]);
  });

  test("by key, by prefix and by kind, and the id is on the last that is told", () => {
    const world = new World();
    const one = world.open({ target: "key", key: key("a/x"), withPrevious: false });
    const folder = world.open({ key: key("a/") });
    const deletes = world.open({ kinds: new Set<EventKind>(["delete"]) });
    world.transact([
      { name: "a/x", value: "1" },
      { name: "a/y", value: "2" },
      { name: "b", value: "3" },
    ]);
    world.transact([
      { name: "a/x", value: null },
      { name: "b", value: "4" },
    ]);
    world.clock.pass(SOME_MS);
    expect(eventsOf(one)).toEqual(["2 put a/x", "3 delete a/x"]);
    expect(eventsOf(folder)).toEqual(["null put a/x", "2 put a/y", "3 delete a/x"]);
    expect(eventsOf(deletes)).toEqual(["3 delete a/x"]);
    for (const asked of [one, folder, deletes]) expect(world.problems(asked, 3)).toEqual([]);
  });

  test("watchers with the same selection share the bytes of their events", () => {
    const world = new World();
    const asked = [1, 2, 3].map(() => world.open());
    world.clock.pass(SOME_MS);
    for (let i = 0; i < 5; i++) world.put("k", `${i}`);
    world.clock.pass(SOME_MS);
    const [first, ...others] = asked.map(({ client }) => client.chunks);
    expect(first).toHaveLength(1); // Five changes, one write.
    for (const chunks of others) expect(chunks[0]).toBe(first?.[0]);
  });

  test("initial: the keys as they are, without ids, then synced, then what comes after", () => {
    const world = new World({ pageKeys: 2 });
    for (const name of ["a", "b", "c", "d", "e"]) world.put(name, name);
    world.delete("c");
    const { revision } = world.store;
    const asked = world.tryOpen({}, revision, { initial: true }) as Asked;
    world.put("z", "later");
    world.clock.pass(SOME_MS);
    expect(eventsOf(asked)).toEqual([
      ...["a", "b", "d", "e"].map((name) => `null put ${name}`),
      `${revision} synced `,
      `${revision + 1} put z`,
    ]);
  });
});

describe("progress", () => {
  test("comes right after connecting, and when nothing was told for a while", () => {
    const world = new World();
    world.put("a", "1");
    const asked = world.open({ key: key("other") });
    world.clock.pass(1);
    expect(bookmarksOf(asked)).toEqual([2]);
    world.put("a", "2");
    world.clock.pass(10_300);
    expect(bookmarksOf(asked)).toEqual([2, 3]);
    world.clock.pass(10_300);
    expect(bookmarksOf(asked)).toEqual([2, 3, 3]);
    world.clock.pass(20_000);
    expect(asked.client.reader.comments).toBe(2);
  });

  test("a node without a leader ends its watches soon, but not in an election (K9)", () => {
    const world = new World();
    world.isLed = false;
    const asked = world.open();
    world.clock.pass(9_000);
    world.isLed = true;
    world.clock.pass(9_000);
    world.isLed = false;
    world.clock.pass(9_000);
    expect(asked.client.failure).toBeNull();
    world.clock.pass(1_500);
    expect(asked.client.failure).toMatchObject({ code: "NO_LEADER" });
    expect(world.hub.count).toBe(0);
    // The next ones have as long.
    const next = world.open();
    world.clock.pass(9_000);
    expect(next.client.failure).toBeNull();
    world.isLed = true;
    world.clock.pass(9_000);
    expect(next.client.failure).toBeNull();
  });

  test("is never ahead of what a slow client was told (K1)", () => {
    const world = new World({ progressMs: 5, tickMs: 1 });
    const asked = world.open();
    world.clock.pass(10);
    full(asked.client);
    for (let i = 0; i < 20; i++) {
      world.put("k", `${i}`);
      world.clock.pass(10);
      if (i % 5 === 0) asked.client.drain(1);
    }
    expect(world.problems(asked)).toEqual([]);
    asked.client.drain(Number.POSITIVE_INFINITY);
    world.clock.pass(100);
    expect(world.problems(asked, world.store.revision)).toEqual([]);
    expect(bookmarksOf(asked).at(-1)).toBe(world.store.revision);
  });

  test("a watch of the future is told nothing before it (K5)", () => {
    const world = new World();
    const asked = world.open({}, 4);
    for (const value of ["2", "3"]) world.put("k", value);
    world.clock.pass(30_000);
    expect(asked.client.reader.messages).toEqual([]);
    for (const value of ["4", "5"]) world.put("k", value);
    world.clock.pass(SOME_MS);
    expect(eventsOf(asked)).toEqual(["5 put k"]);
    expect(world.problems(asked, 5)).toEqual([]);
  });
});

describe("the end", () => {
  test("what is compacted cannot be watched, and the compaction revision itself can (K4)", () => {
    const world = new World();
    world.put("k", "2");
    world.put("k", "3");
    world.delete("k");
    world.compact(4);
    expect(world.tryOpen({}, 2)).toBe("COMPACTED");
    const asked = world.open({}, 3);
    world.clock.pass(SOME_MS);
    expect(eventsOf(asked)).toEqual(["4 delete k"]);
    // What was before is compacted, though it may still be in memory.
    expect(asked.client.reader.messages[0]?.data).toEqual({ key: "k", mod_revision: 4 });
  });

  test("a compaction right after a change takes nothing from who is in step (K4)", () => {
    const world = new World();
    const asked = world.open();
    world.clock.pass(SOME_MS);
    for (let i = 0; i < 50; i++) {
      if (i % 2 === 0) world.put("k", `${i}`);
      else world.delete("k");
      if (i % 3 === 0) world.compact(world.store.revision);
    }
    world.clock.pass(SOME_MS);
    expect(world.problems(asked, world.store.revision)).toEqual([]);
  });

  test("a slow one goes on from the history, and is LAGGED when that is compacted (K8)", () => {
    const world = new World();
    const slow = world.open();
    world.clock.pass(SOME_MS);
    full(slow.client);
    for (let i = 0; i < 5; i++) {
      world.put("k", `${i}`);
      world.clock.pass(20);
    }
    expect(eventsOf(slow)).toEqual(["2 put k"]);
    world.compact(5);
    world.clock.pass(SOME_MS);
    expect(slow.client.failure).toEqual({ code: "LAGGED", oldest: 5, current: 6 });
    expect(world.hub.count).toBe(0);
  });

  test("one for whom others leave no room is not closed for that, nor told a part (K8)", () => {
    const world = new World({ stallMs: 1_000, progressMs: 1_000_000, sliceBytes: 100 });
    const waiting = world.open();
    const listing = world.tryOpen({}, world.store.revision, { initial: true });
    if (typeof listing === "string") throw new Error(listing);
    const asked = [waiting, listing];
    for (const { client } of asked) client.setRoom(false);
    for (let at = 0; at < 20; at++) world.put(`k${at}`, "v".repeat(60));
    world.clock.pass(5_000);
    expect(waiting.client.chunks).toEqual([]);
    expect(asked.map(({ client }) => client.isAborted)).toEqual([false, false]);
    for (const { client } of asked) client.setRoom(true);
    world.clock.pass(100);
    expect(world.problems(waiting, world.store.revision)).toEqual([]);
    expect(waiting.client.chunks.length).toBeGreaterThan(1);
    expect(listing.client.reader.messages.some(({ event }) => event === "synced")).toBe(true);
  });

  test("one that takes nothing is closed after a while (K8)", () => {
    const world = new World();
    const { client } = world.open();
    full(client);
    world.clock.pass(29_000);
    expect(client.isAborted).toBe(false);
    world.clock.pass(2_000);
    expect(client.isAborted).toBe(true);
    expect(world.hub.count).toBe(0);
  });

  test("there are only so many, and one that is closed makes room", () => {
    const world = new World({ watchersMax: 2 });
    const { client } = world.open();
    world.open();
    expect(world.tryOpen({}, 1)).toBe("TOO_MANY");
    client.watch?.close();
    world.open();
  });

  test("closing the hub tells all, and takes no more", () => {
    const world = new World();
    const asked = world.open();
    world.hub.close();
    expect(asked.client.failure).toMatchObject({ code: "SHUTTING_DOWN" });
    expect(world.tryOpen({}, 1)).toBe("CLOSED");
  });

  test("after a snapshot: on from where it was, or LAGGED where that is gone (K2)", () => {
    const world = new World();
    const asked = world.open();
    world.put("a", "1");
    world.restoreAfter((other) => {
      other.put("a", "2");
      other.delete("a");
    });
    world.put("b", "3");
    world.clock.pass(SOME_MS);
    expect(world.problems(asked, world.store.revision)).toEqual([]);
    world.restoreAfter((other) => {
      for (const value of ["4", "5", "6"]) other.put("c", value);
      other.compact(other.store.revision);
    });
    world.clock.pass(SOME_MS);
    expect(asked.client.failure).toMatchObject({ code: "LAGGED" });
  });
});

describe("many", () => {
  test("watchers of other keys cost a change nothing", () => {
    const world = new World();
    for (let i = 0; i < 2_000; i++) world.open({ target: "key", key: key(`other-${i}`) });
    world.clock.pass(SOME_MS);
    const asked = world.open({ target: "key", key: key("k") });
    for (let i = 0; i < 100; i++) world.put("k", `${i}`);
    world.clock.pass(SOME_MS);
    expect(world.problems(asked, world.store.revision)).toEqual([]);
  });

  test("one turn tells a bounded number of them, and the rest have theirs in the next", () => {
    const world = new World({ writesPerTurn: 10 });
    const all = Array.from({ length: 35 }, () => world.open());
    world.clock.pass(SOME_MS);
    world.put("k", "v");
    const told = () => all.filter((asked) => eventsOf(asked).length > 0).length;
    const counts = [1, 2, 3, 4].map(() => {
      world.clock.turn();
      return told();
    });
    expect(counts).toEqual([10, 20, 30, 35]);
  });

  test("who comes back late is told from the history in slices, and holds up nobody", () => {
    const world = new World({ sliceChanges: 10 });
    for (let i = 0; i < 500; i++) world.put(`k${i % 7}`, `${i}`);
    const late = [0, 100, 490].map((since) => world.open({}, since));
    const prompt = world.open();
    world.clock.turn();
    world.put("k", "new");
    for (let i = 0; i < 60 && eventsOf(prompt).length === 0; i++) world.clock.pass(1);
    world.clock.pass(SOME_MS);
    for (const asked of [...late, prompt]) {
      expect(world.problems(asked, world.store.revision)).toEqual([]);
    }
  });
});

/** Whatever happens, in any order. */
class Storm {
  readonly world;
  readonly asked: Asked[] = [];
  readonly lost: Asked[] = [];
  #leases = 0;
  readonly #random;

  constructor(seed: number) {
    // With the smaller one, revisions of several changes are told in several parts.
    const sliceBytes = seed % 2 === 0 ? 200 : 10;
    const limits = { roundMs: 5, sliceChanges: 7, sliceBytes, writesPerTurn: 5, pageKeys: 3 };
    this.world = new World(limits);
    this.#random = prng(seed);
  }

  step(): void {
    const random = this.#random;
    const { world } = this;
    const dice = random.below(100);
    if (dice < 45) world.put(this.#name(), `${random.below(1_000)}`);
    else if (dice < 60) world.delete(this.#name());
    else if (dice < 68) this.#transact();
    else if (dice < 70) world.expire(["a/1", "b/1"].slice(random.below(2)), ++this.#leases + 100);
    else if (dice < 76) this.#compact();
    else if (dice < 77) world.restoreAfter((other) => other.put(this.#name(), "restored"));
    else if (dice < 84) this.#open();
    else if (dice < 92) this.#drain();
    else if (dice < 93) this.#resume();
    else world.clock.pass(random.below(8));
  }

  /** All read to the end. */
  settle(): void {
    for (let round = 0; round < 3; round++) {
      for (const { client } of this.asked) {
        client.setRoom(true);
        client.drain(Number.POSITIVE_INFINITY);
      }
      this.world.clock.pass(2_000);
    }
  }

  /** All that is wrong, with anybody. */
  problems(): readonly string[] {
    const { world } = this;
    return [
      ...this.lost.flatMap((asked) => world.problems(asked)),
      ...this.asked.flatMap((asked) =>
        world.problems(asked, asked.client.failure === null ? world.store.revision : undefined),
      ),
    ];
  }

  #name(): string {
    return `${this.#random.pick(["a", "b", "c"])}/${this.#random.below(4)}`;
  }

  #transact(): void {
    const names = new Set([this.#name(), this.#name(), this.#name()]);
    const changes = [...names].map((name) => ({
      name,
      value: this.#random.chance(30) ? null : `${this.#random.below(1_000)}`,
    }));
    this.world.transact(changes);
  }

  #compact(): void {
    const { revision, compactRevision } = this.world.store;
    const at = revision - this.#random.below(this.#random.pick([2, 60]));
    if (at > compactRevision) this.world.compact(at);
  }

  #open(): void {
    const random = this.#random;
    const { store } = this.world;
    const kinds = random.pick([everything().kinds, new Set<EventKind>(["delete", "expire"])]);
    const target = random.pick(["key", "prefix"] as const);
    const name = target === "key" ? this.#name() : random.pick(["", "a/", "b", "c/1"]);
    const since = Math.max(1, store.revision + random.between(-20, 6));
    const selection = { target, key: key(name), kinds, withPrevious: random.chance(50) };
    const asked = this.world.tryOpen(selection, since, { room: random.between(1, 12) });
    if (typeof asked === "string") expect(since + 1).toBeLessThan(store.compactRevision);
    else this.asked.push(asked);
  }

  #drain(): void {
    for (const { client } of this.asked) {
      if (this.#random.chance(50)) client.drain(this.#random.between(1, 12));
      if (this.#random.chance(10)) client.setRoom(this.#random.chance(80));
    }
  }

  /** The connection is lost, and the client comes back with the last id that it has. */
  #resume(): void {
    const asked = this.asked.pop();
    if (asked === undefined) return;
    asked.client.watch?.close();
    this.lost.push(asked);
    const id = asked.client.reader.messages.findLast((message) => message.id !== null)?.id;
    const again = this.world.tryOpen(asked.selection, id ?? asked.since);
    if (typeof again !== "string") this.asked.push(again);
  }
}

test.each(Array.from({ length: 30 }, (_, seed) => seed))(
  "ordered, unique, atomic, gap-free, resumable and bookmarkable, whatever happens (seed %i)",
  (seed) => {
    const storm = new Storm(seed);
    for (let i = 0; i < 2_000; i++) storm.step();
    storm.settle();
    expect(storm.problems()).toEqual([]);
    const told = [...storm.asked, ...storm.lost].flatMap(({ client }) => client.reader.messages);
    expect(told.length).toBeGreaterThan(300);
  },
);
