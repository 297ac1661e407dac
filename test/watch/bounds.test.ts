/** How much is encoded, held and read at a time, whatever the keys and values are (K8). */
import { describe, expect, test } from "vitest";
import { encodeEvents } from "../../src/http/sse.ts";
import { VALUE_BYTES_MAX } from "../../src/kv/key.ts";
import type { KeyValue } from "../../src/kv/version.ts";
import type { Part } from "../../src/watch/batch.ts";
import { watchLimits } from "../../src/watch/limits.ts";
import { key } from "../kv/fixtures.ts";
import { type Asked, Client, World } from "./world.ts";

const SOME_MS = 1_000;
/** The worst of all values: each byte becomes six of JSON. */
const CONTROL = "\u0001".repeat(VALUE_BYTES_MAX);

/** Counts what it is told, and keeps only the last of it. */
class Scale extends Client {
  readonly sizes: number[] = [];
  events = 0;
  last = Buffer.alloc(0);

  override changes(part: Part): boolean {
    const bytes = part.encoded(encodeEvents);
    this.sizes.push(bytes.length);
    this.events += part.events.length;
    this.last = Buffer.from(bytes.subarray(0, 40));
    return true;
  }
}

/** Notes the sizes of pages, and takes only so many of them. */
class Pages extends Client {
  readonly pages: (readonly string[])[] = [];
  readonly values: string[] = [];
  taken = Number.POSITIVE_INFINITY;

  override keys(found: readonly KeyValue[]): boolean {
    this.pages.push(found.map(({ key }) => key));
    for (const { value } of found) this.values.push(Buffer.from(value).toString());
    return this.pages.length < this.taken;
  }
}

describe("changes", () => {
  test("a revision that is longer than a text can be is told event by event", () => {
    const world = new World();
    const names = Array.from({ length: 90 }, (_, at) => `key-${at}`);
    for (const name of names) world.put(name, CONTROL);
    const { revision } = world.store;
    world.transact(names.map((name) => ({ name, value: null })));
    const client = new Scale();
    world.openFor(client, { since: revision });
    for (let turns = 0; turns < 300 && client.events < 90; turns++) {
      const before = client.sizes.length;
      world.clock.turn();
      expect(client.sizes.length - before).toBeLessThanOrEqual(1);
    }
    expect(client.sizes).toHaveLength(90);
    expect(Math.max(...client.sizes)).toBeLessThan(6.1 * VALUE_BYTES_MAX);
    expect(client.last.toString()).toMatch(new RegExp(`^id: ${revision + 1}\nevent: delete\n`));
  }, 30_000);

  test("a slow one goes on in the middle of a revision, of which only the last has the id", () => {
    const world = new World({ sliceBytes: 20 });
    const asked = world.open();
    const late = world.open({}, 1);
    world.clock.pass(SOME_MS);
    for (const { client } of [asked, late]) client.room = 1;
    const changes = Array.from({ length: 30 }, (_, at) => ({ name: `k${at}`, value: "v" }));
    world.transact(changes);
    world.put("after", "v");
    world.clock.pass(SOME_MS);
    const puts = ({ client }: Asked) =>
      client.reader.messages.filter(({ event }) => event === "put");
    expect(puts(asked).length).toBeLessThan(30);
    expect(puts(asked).at(-1)?.id).toBeNull();
    for (let drains = 0; drains < 40; drains++) {
      for (const { client } of [asked, late]) client.drain(1);
      world.clock.pass(10);
    }
    for (const each of [asked, late]) expect(world.problems(each, 3)).toEqual([]);
    expect(puts(asked).map(({ id }) => id)).toEqual([...Array(29).fill(null), 2, 3]);
  });

  test("those who get the same parts share their bytes, also from the history", () => {
    const world = new World({ sliceBytes: 20 });
    world.transact(Array.from({ length: 30 }, (_, at) => ({ name: `k${at}`, value: "v" })));
    const [one, other] = [world.open({}, 1), world.open({}, 1)];
    world.clock.pass(SOME_MS);
    expect(one.client.chunks.length).toBeGreaterThan(2);
    for (const [at, chunk] of one.client.chunks.entries()) {
      expect(other.client.chunks[at]).toBe(chunk);
    }
  });

  test("one turn encodes a bounded number of bytes for many selections", () => {
    const world = new World();
    const clients = Array.from({ length: 20 }, (_, at) => {
      const client = new Scale();
      world.openFor(client, { selection: { key: key("k".repeat(at)) } });
      return client;
    });
    world.clock.pass(SOME_MS);
    world.put("k".repeat(20), "v".repeat(watchLimits.sliceBytes));
    const told = () => clients.filter(({ events }) => events > 0).length;
    const counts = [1, 2, 3].map(() => {
      world.clock.turn();
      return told();
    });
    expect(counts).toEqual([1, 2, 3]);
    world.clock.pass(SOME_MS);
    expect(told()).toBe(20);
  });

  test("NO_LEADER comes between whole events, also in the middle of a revision", () => {
    const world = new World({ sliceBytes: 20 });
    const asked = world.open();
    world.clock.pass(SOME_MS);
    asked.client.room = 2;
    world.transact(Array.from({ length: 30 }, (_, at) => ({ name: `k${at}`, value: "v" })));
    world.clock.pass(SOME_MS);
    world.isLed = false;
    world.clock.pass(12_000);
    const { messages } = asked.client.reader;
    expect(messages.at(-1)?.data).toMatchObject({ code: "NO_LEADER" });
    // It was in the middle: nothing to resume from but what came before.
    expect(messages.at(-2)).toMatchObject({ id: null, event: "put" });
    expect(world.problems(asked)).toEqual([]);
    asked.client.drain(5);
    world.clock.pass(SOME_MS);
    expect(asked.client.reader.messages).toBe(messages);
    expect(messages.at(-1)?.event).toBe("error");
  });
});

describe("initial keys", () => {
  test("one who reads nothing is given one page, of a bounded size", () => {
    const world = new World();
    const { sliceBytes } = watchLimits;
    for (let at = 0; at < 16; at++) world.put(`k${at}`, "v".repeat(sliceBytes / 3));
    const client = new Pages();
    client.taken = 1;
    world.openFor(client, { initial: true });
    world.clock.pass(SOME_MS);
    expect(client.pages).toEqual([["k0", "k1"]]);
    client.taken = Number.POSITIVE_INFINITY;
    client.watch?.drained();
    world.clock.pass(SOME_MS);
    expect(client.pages.flat()).toHaveLength(16);
    expect(Math.max(...client.pages.map(({ length }) => length))).toBe(2);
    expect(client.reader.messages[0]).toMatchObject({ event: "synced" });
  });

  test("many deleted keys are passed in several turns, at the revision of the beginning", () => {
    const world = new World();
    world.put("z", "old");
    for (let at = 0; at < 10_000; at++) world.put(`k${at}`, "");
    for (let at = 0; at < 10_000; at++) world.delete(`k${at}`);
    const { revision } = world.store;
    const client = new Pages();
    world.openFor(client, { initial: true });
    world.clock.turn();
    expect(client.pages).toEqual([]);
    world.put("z", "new");
    world.compact(revision + 1);
    // Each command purges a little.
    for (let at = 0; at < 1_000; at++) world.idle();
    expect(client.pages).toEqual([]);
    world.clock.pass(SOME_MS);
    expect(client.values).toEqual(["old"]);
    const told = client.reader.messages.map(({ event, data }) => [event, data["value"]]);
    expect(told.slice(0, 2)).toEqual([
      ["synced", undefined],
      ["put", "new"],
    ]);
  });

  test("one who leaves in the middle of a page leaves the turn to the next", () => {
    const world = new World();
    for (let at = 0; at < 10_000; at++) world.put(`k${at}`, "");
    for (let at = 0; at < 10_000; at++) world.delete(`k${at}`);
    const [gone, stays] = [new Pages(), new Pages()];
    for (const client of [gone, stays]) world.openFor(client, { initial: true });
    world.clock.turn();
    gone.watch?.close();
    world.clock.pass(SOME_MS);
    expect(gone.reader.messages).toEqual([]);
    expect(stays.reader.messages[0]).toMatchObject({ event: "synced" });
  });
});
