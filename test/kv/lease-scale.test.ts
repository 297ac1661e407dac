/** Many leases and replies: as scale.test.ts does for keys, no step may hold the event loop. */
import { expect, test } from "vitest";
import { must } from "../../src/lib/assert.ts";
import { bytesOf } from "../../src/lib/bytes.ts";
import { type Command, encodeCommand, LEASES_MAX } from "../../src/kv/command.ts";
import { REMEMBERED_MAX } from "../../src/kv/remembered.ts";
import { KvStore } from "../../src/kv/store.ts";
import { chunksOf, key } from "./fixtures.ts";

const LEASES = 100_000;
const TTL_MS = 10_000;
/** Many times what was measured, for a machine that is busy. */
const STEP_MS_MAX = 250;
const FREEZE_MS_MAX = 10;
/** To sort that many keys takes several times as long. */
const PAGE_MS_MAX = 20;

function threadMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

/** How long the longest of these took. */
function longest(name: string, count: number, step: (at: number) => void): number {
  let max = 0;
  for (let at = 0; at < count; at++) {
    const start = threadMs();
    step(at);
    max = Math.max(max, threadMs() - start);
  }
  console.log(`${name}: ${count} steps, the longest ${max.toFixed(1)} ms`);
  return max;
}

test(`of ${LEASES} keys on one lease, a page is told in no time, wherever it begins`, () => {
  const store = new KvStore();
  store.apply(encodeCommand({ type: "grant", id: 1, ttlMs: TTL_MS }), 0);
  const about = { conditions: [], returnPrevious: false, lease: { kind: "lease", id: 1 } } as const;
  const nameOf = (at: number) => key(`service/${(at * 7_919) % LEASES}`);
  for (let at = 0; at < LEASES; at++) {
    store.apply(encodeCommand({ type: "put", key: nameOf(at), value: bytesOf(""), ...about }), 0);
  }
  const pages = longest("a page", 20, (at) => {
    const limits = { after: nameOf(at), entries: 1_000, bytes: 1e6 };
    expect(store.keysOfLease(1, limits).keys.length).toBeGreaterThan(0);
  });
  const none = longest("no keys", 20, () => {
    const limits = { after: null, entries: 0, bytes: 1e6 };
    expect(store.keysOfLease(1, limits)).toEqual({ keys: [], more: true });
  });
  expect(Math.max(pages, none)).toBeLessThan(PAGE_MS_MAX);
}, 60_000);

test(`${LEASES} leases are granted, renewed, frozen and ended in short steps`, () => {
  const store = new KvStore();
  const apply = (command: Command, time = store.clusterTime) => {
    return store.apply(encodeCommand(command), time);
  };
  const grants = longest("grant, and put on it", LEASES, (at) => {
    apply({ type: "grant", id: 0, ttlMs: TTL_MS }, at);
    const lease = { kind: "lease", id: at + 1 } as const;
    const about = { conditions: [], returnPrevious: false, lease };
    apply({ type: "put", key: key(`service/${at}`), value: bytesOf("here"), ...about });
  });
  const replies = longest("once", REMEMBERED_MAX, (at) => {
    apply({ type: "once", key: `request-${at}`, command: { type: "clock" } });
  });
  const batch = (at: number) => {
    return Array.from({ length: LEASES_MAX }, (_, i) => at * LEASES_MAX + i + 1);
  };
  const renewals = longest("renew", LEASES / LEASES_MAX, (at) => {
    apply({ type: "renew", ids: batch(at) }, LEASES + at);
  });
  expect(store.leasesDue(LEASES + TTL_MS - 1, 1)).toEqual([]); // Renewed, all of them.

  const freezes = longest("freeze", 5, () => store.freeze().release());
  const other = new KvStore();
  const restorer = other.restorer();
  const chunks = chunksOf(store);
  const feeds = longest("feed", chunks.length, (at) => restorer.feed(must(chunks[at], "a chunk")));
  const commits = longest("commit", 1, () => restorer.commit());
  expect(other.digest).toBe(store.digest);
  expect(other.leases).toBe(LEASES);

  const end = LEASES + TTL_MS + LEASES / LEASES_MAX;
  const expiries = longest("expire", LEASES / LEASES_MAX, () => {
    apply({ type: "expire", ids: store.leasesDue(end, LEASES_MAX) }, end);
  });
  expect([store.leases, store.liveKeys]).toEqual([0, 0]);
  const steps = [grants, replies, renewals, feeds, commits, expiries];
  expect(Math.max(...steps)).toBeLessThan(STEP_MS_MAX);
  expect(freezes).toBeLessThan(FREEZE_MS_MAX);
}, 60_000);
