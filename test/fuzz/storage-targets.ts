/** What is read from disk, and from snapshots on their way: the log, snapshots, commands. */
import { assert } from "../../src/lib/assert.ts";
import {
  type Command,
  decodeCommand,
  encodeCommand,
  type PlainCommand,
} from "../../src/kv/command.ts";
import { type Key, keyOf } from "../../src/kv/key.ts";
import type { Operation } from "../../src/kv/operation.ts";
import { KvStore } from "../../src/kv/store.ts";
import { IncomingSnapshot } from "../../src/node/incoming.ts";
import { makeEntry } from "../../src/raft/entry.ts";
import { encodeConfiguration, configurationOf } from "../../src/raft/membership.ts";
import type { ClusterTime, Index, NodeId, SnapshotMeta, Term } from "../../src/raft/types.ts";
import { type Batch, encodeBatch, readBatch } from "../../src/storage/batch.ts";
import { SnapshotEncoder, SnapshotScanner } from "../../src/storage/snapshot-format.ts";
import { SimDisk } from "../sim/disk.ts";
import { entries, entry, hardState, meta, position, text } from "../storage/fixtures.ts";
import { resealedBatches, SEGMENT } from "./log-seals.ts";
import { assertRecovers } from "./log-target.ts";
import type { Mutator } from "./mutator.ts";
import { damagedEntry } from "./peer-targets.ts";
import { resealedSnapshot } from "./snapshot-seals.ts";
import { assertSafeNumbers, assertSame, decoded, type Target } from "./target.ts";

const n1 = "n1" as NodeId;
const voters = ["n1", "n2", "n3"] as NodeId[];

// ---- commands

const key = keyOf(text("a/key"));
const conditions = [{ type: "version", version: 3 }, { type: "exists" }] as const;
const later = { type: "modRevision", modRevision: 2 ** 40 } as const;
const commands: readonly Command[] = [
  { type: "put", key, conditions, returnPrevious: true, value: text("a value") },
  { type: "put", key: "k" as Key, conditions: [], returnPrevious: false, value: new Uint8Array() },
  { type: "delete", key, conditions: [later, { type: "absent" }], returnPrevious: false },
  { type: "compact", revision: 300 },
  { type: "grant", id: 7, ttlMs: 50 },
  { type: "renew", ids: [7, 300] },
  { type: "expire", ids: [7, 1] },
  { type: "revoke", id: 7 },
  { type: "clock" },
];
const put: Operation = {
  type: "put",
  key,
  value: text("5"),
  lease: { kind: "ttl", ttlMs: 300 },
  returnPrevious: true,
};
const txn: PlainCommand = {
  type: "txn",
  compares: [{ key, end: null, relation: "!=", target: "value", value: text("x") }],
  success: [put, { type: "get", key, end: null, limit: 2, keysOnly: true, countOnly: false }],
  failure: [
    { type: "increment", key: "n" as Key, by: -3, initial: 300 },
    { type: "txn", compares: [], success: [put], failure: [] },
    { type: "delete", key: "o" as Key, end: "z" as Key, returnPrevious: true },
  ],
};
const allCommands: readonly Command[] = [
  ...commands,
  txn,
  { type: "once", key: "request-1", command: txn },
];
const encodedCommands = allCommands.map(encodeCommand);

/** The same without signs: the numbers of increments, and no others, may be negative. */
function unsigned(value: unknown): unknown {
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return value;
  if (Array.isArray(value)) return value.map(unsigned);
  const isIncrement = "type" in value && value.type === "increment";
  const entries = Object.entries(value).map(([name, each]) => {
    const isSigned = isIncrement && ["by", "initial", "value"].includes(name);
    return [name, isSigned && typeof each === "number" ? Math.abs(each) : unsigned(each)];
  });
  return Object.fromEntries(entries);
}

/** A command that can be decoded can be applied, on top of some others, and to the same effect. */
function applyTwice(bytes: Uint8Array): void {
  const results = [0, 1].map(() => {
    const store = new KvStore();
    const earlier = encodedCommands.slice(0, 3);
    return [...earlier, bytes]
      .map((command, i) => store.apply(command, i))
      .concat(store.digest as never);
  });
  assertSame(results[0], results[1], "the same commands");
  assertSafeNumbers(unsigned(results[0]));
}

const command: Target = {
  name: "command",
  next(mutator) {
    const { random } = mutator;
    return mutator.bytes(random.pick(encodedCommands), random.pick(encodedCommands));
  },
  run(input) {
    const found = decoded(() => decodeCommand(input));
    if (found === null) return false;
    assertSafeNumbers(unsigned(found));
    assertSame(decodeCommand(encodeCommand(found)), found, "command");
    applyTwice(input);
    return true;
  },
};

// ---- the log

const none = { hardState: null, position: null, reset: null, entries: [] } as const;
const configuration = makeEntry({
  index: 6 as Index,
  term: 2 as Term,
  time: 60 as ClusterTime,
  kind: "config",
  data: encodeConfiguration(configurationOf({ voters })),
});
const batches: readonly Batch[] = [
  { ...none, hardState: hardState(1, "n1"), position: position(0, 0), entries: entries(1, 3, 1) },
  { ...none, hardState: hardState(2), entries: [...entries(3, 5, 2), configuration] },
  { ...none, entries: [entry(7, 2, new Uint8Array(700))] },
  { ...none, hardState: hardState(4, "n2"), reset: position(20, 3), entries: entries(21, 22, 4) },
];

/** A segment of the batches, each in its place. */
function segmentOf(list: readonly Batch[]): Uint8Array {
  const file: number[] = [];
  let chain = 0;
  for (const batch of list) {
    const { bytes, checksum } = encodeBatch(batch, {
      segment: SEGMENT,
      offset: file.length,
      chain,
    });
    file.push(...bytes);
    chain = checksum;
  }
  return Uint8Array.from(file);
}

/** Batches that say things which do not go together, in good order as bytes. */
function senselessSegment(mutator: Mutator): Uint8Array {
  const { random } = mutator;
  const small = () => random.pick([0, 1, 2, 3, 4, 5, 7, 20, 21, 2 ** 53 - 1]);
  const list = Array.from({ length: random.between(1, 4) }, (): Batch => {
    const base = random.pick(batches);
    return {
      hardState: random.chance(20) ? hardState(small(), random.pick([null, "n2"])) : base.hardState,
      position: random.chance(20) ? position(small(), small()) : base.position,
      reset: random.chance(20) ? position(small(), small()) : base.reset,
      entries: base.entries.map((e) => {
        if (random.chance(80)) return e;
        if (random.chance(50)) return { ...e, bytes: damagedEntry(mutator, e.bytes) };
        return entry(small(), small());
      }),
    };
  });
  return segmentOf(list);
}

const segment = segmentOf(batches);
const otherSegment = segmentOf([...batches].reverse());

const log: Target = {
  name: "log",
  next(mutator) {
    const { random } = mutator;
    if (random.chance(40)) return senselessSegment(mutator);
    const damaged = mutator.bytes(segment, otherSegment);
    if (random.chance(30)) return damaged;
    // A file that is no whole number of sectors is refused before anything is read.
    const whole = damaged.slice(0, damaged.length - (damaged.length % 512));
    return random.chance(20) ? whole : resealedBatches(whole);
  },
  run: assertRecovers,
};

const batch: Target = {
  name: "batch",
  next: (mutator) => log.next(mutator),
  run(input) {
    if (input.length === 0 || input.length % 512 !== 0) return false;
    const place = { segment: SEGMENT, offset: 0, chain: 0 };
    const read = readBatch(input, place);
    if (read.kind !== "whole") return false;
    assertSafeNumbers(read.batch);
    const { bytes } = encodeBatch(read.batch, place);
    const again = readBatch(bytes, place);
    assert(again.kind === "whole", "what was read cannot be read again");
    assertSame(again.batch, read.batch, "batch");
    return true;
  },
};

// ---- snapshots

function storeToSave(): KvStore {
  const store = new KvStore();
  const value = new Uint8Array(40_000).fill(7);
  const large: Command = {
    type: "put",
    key: "large" as Key,
    conditions: [],
    returnPrevious: false,
    value,
  };
  const list = [...commands.slice(1, 3), large, { type: "compact", revision: 2 } as const];
  for (const [i, each] of list.entries()) store.apply(encodeCommand(each), i);
  for (let i = 0; i < 30; i++) {
    const [, empty] = commands;
    store.apply(encodeCommand({ ...empty, key: `k${i}` as Key } as Command), 10 + i);
  }
  const [granted, once] = [commands[4], allCommands.at(-1)];
  for (const each of [granted, txn, once]) {
    assert(each !== undefined, "a command of the list");
    store.apply(encodeCommand(each), 100);
  }
  return store;
}

function chunksOf(store: KvStore): Uint8Array[] {
  const frozen = store.freeze();
  const chunks = [...{ [Symbol.iterator]: () => frozen.chunks() }].filter(
    ({ length }) => length > 0,
  );
  frozen.release();
  return chunks;
}

function snapshotOf(at: SnapshotMeta, chunks: readonly Uint8Array[]): Uint8Array {
  const encoder = new SnapshotEncoder(at);
  const parts = [encoder.header()];
  for (const chunk of chunks) parts.push(encoder.chunkHead(chunk), chunk);
  return new Uint8Array(Buffer.concat([...parts, encoder.end()]));
}

const stored = chunksOf(storeToSave());
const snapshot = snapshotOf(meta(7, 3), stored);
const smallSnapshot = snapshotOf(meta(9, 4), [text("one"), text("two")]);

function damagedSnapshot(mutator: Mutator, whole: Uint8Array): Uint8Array {
  // Most damage at the front, where the lengths are: the middle is one large value.
  const { random } = mutator;
  const front = random.chance(70) ? 400 : whole.length;
  const damaged = mutator.bytes(whole.subarray(0, front), smallSnapshot);
  const all = new Uint8Array(Buffer.concat([damaged, whole.subarray(front)]));
  return random.chance(25) ? all : resealedSnapshot(all);
}

function assertMeta(found: SnapshotMeta): void {
  assertSafeNumbers(found);
  const { voters: deciding, outgoing, learners } = found.configuration;
  assert(deciding.length > 0, "a configuration without voters");
  for (const group of [deciding, outgoing, learners]) {
    assert(new Set(group).size === group.length, "a node that counts twice");
  }
}

/** Reads a snapshot in one piece, or in pieces of a size. */
function scan(input: Uint8Array, size: number): SnapshotMeta | null {
  return decoded(() => {
    const scanner = new SnapshotScanner();
    for (let at = 0; at < input.length; at += size) scanner.push(input.subarray(at, at + size));
    return scanner.finish();
  });
}

const scanner: Target = {
  name: "snapshot",
  next: (mutator) => damagedSnapshot(mutator, smallSnapshot),
  run(input) {
    const found = scan(input, Math.max(1, input.length));
    assertSame(scan(input, 7), found, "pieces of another size");
    if (found === null) return false;
    assertMeta(found);
    return true;
  },
};

/** A snapshot that arrives in chunks, is stored and read into a state beside the present one. */
const incoming: Target = {
  name: "incoming snapshot",
  next: (mutator) => damagedSnapshot(mutator, snapshot),
  run(input) {
    if (input.length === 0) return false;
    const store = new KvStore();
    const first = {
      from: n1,
      term: 3 as Term,
      name: "s",
      bytes: input.length,
      offset: 0,
      data: input,
    };
    const disk = new SimDisk((_operation, complete) => complete());
    const arriving = new IncomingSnapshot({
      disk,
      fileName: "in",
      first,
      restorer: store.restorer(),
    });
    const isWhole = decoded(() => {
      for (let at = 0; at < input.length; at += 1_000) arriving.read(input.slice(at, at + 1_000));
      arriving.restorer.commit();
      return true;
    });
    if (isWhole === null) return false;
    if (arriving.meta !== null) assertMeta(arriving.meta);
    assertSameStore(store);
    return true;
  },
};

/** The chunks of a state, which are checked by checksums only outside. */
const restorer: Target = {
  name: "state",
  next(mutator) {
    const { random } = mutator;
    const chunks = stored.map((chunk) => {
      if (chunk.length > 1_000 || random.chance(60)) return chunk;
      return mutator.bytes(chunk, random.pick(stored).subarray(0, 300));
    });
    if (random.chance(15)) chunks.splice(random.below(chunks.length), 1);
    if (random.chance(15)) chunks.splice(random.below(chunks.length), 0, random.pick(chunks));
    return snapshotOf(
      meta(7, 3),
      chunks.filter(({ length }) => length > 0),
    );
  },
  run: (input) => incoming.run(input),
};

/** A state that was restored can be saved, restored again, and written to. */
function assertSameStore(store: KvStore): void {
  const copy = new KvStore();
  const reader = copy.restorer();
  for (const chunk of chunksOf(store)) reader.feed(chunk);
  reader.commit();
  const all = { start: "" as Key, end: null, revision: store.revision, limit: 1_000 };
  assertSame(copy.range(all), store.range(all), "state");
  assertSafeNumbers(store.range(all));
  assert(copy.digest === store.digest, "another digest after a round trip");
  if (store.revision >= 2 ** 53 - 1 || store.clusterTime >= 2 ** 53 - 1) return;
  const bytes = encodedCommands[1] ?? new Uint8Array();
  assertSame(copy.apply(bytes, copy.clusterTime), store.apply(bytes, store.clusterTime), "a write");
}

export const storageTargets: readonly Target[] = [command, log, batch, scanner, incoming, restorer];
