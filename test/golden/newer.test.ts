/**
 * U4: what a newer version has written is refused with one clear line, wherever it is met. It is
 * never skipped, and never taken for damage: that would be set aside, and asked of the others.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { AssertionError, must } from "../../src/lib/assert.ts";
import { ByteWriter, bytesOf, NewerError } from "../../src/lib/bytes.ts";
import { crc32c } from "../../src/lib/crc32c.ts";
import { Prng } from "../../src/lib/random.ts";
import { resolveConfig } from "../../src/config.ts";
import { decodeCommand } from "../../src/kv/command.ts";
import { KvStore } from "../../src/kv/store.ts";
import {
  type NodeIdentity,
  PeerBook,
  readIdentity,
  writeIdentity,
} from "../../src/node/identity.ts";
import { nodeRuntime } from "../../src/node/node-runtime.ts";
import { openOrRepair } from "../../src/node/repair.ts";
import { readBackup } from "../../src/program/offline/backup-file.ts";
import { raftOptions, SEGMENT_BYTES_MAX, snapshotLimits } from "../../src/program/limits.ts";
import { durable, withDisk } from "../../src/program/offline/offline-disk.ts";
import { recover } from "../../src/program/offline/recover.ts";
import { type Entry, type EntryKind, makeEntry } from "../../src/raft/entry.ts";
import {
  decodeConfiguration,
  encodeConfiguration,
  foundingConfiguration,
} from "../../src/raft/membership.ts";
import { asIndex, asTerm, type ClusterTime, type NodeId } from "../../src/raft/types.ts";
import { encodeBatch, readBatch } from "../../src/storage/batch.ts";
import type { Disk } from "../../src/storage/disk.ts";
import { openStorage } from "../../src/storage/open.ts";
import { SnapshotScanner } from "../../src/storage/snapshot-format.ts";
import { DamageError, StorageError } from "../../src/storage/storage-error.ts";
import { decodeMessages, encodeMessages } from "../../src/transport/codec.ts";
import { checkAddress, identityHeaders } from "../../src/transport/identity.ts";
import { serve } from "../integration/cluster.ts";
import { freePorts } from "../integration/ports.ts";
import { appendOf, n1, n2 } from "../transport/arbitrary.ts";

const UPGRADE = /^[\x20-\x7e]+ is of a newer version of Quorate: upgrade this node$/;
const COMMAND_OF_THE_FUTURE = Uint8Array.of(1, 99);
const configuration = foundingConfiguration(
  new Map(["n1", "n2", "n3"].map((id) => [id as NodeId, `http://${id}.test`])),
);
const identity: NodeIdentity = {
  cluster: "c",
  id: n1,
  incarnation: "first",
  joined: true,
  since: 0,
  voters: 3,
  bootstrap: configuration,
};

function entryOf(kind: EntryKind, data: Uint8Array, index = 1): Entry {
  const time = 0 as ClusterTime;
  return makeEntry({ index: asIndex(index), term: asTerm(1), time, kind, data });
}

/** An entry as a version with one kind more would make it. */
function entryOfKind4(): Entry {
  const entry = entryOf("noop", new Uint8Array());
  entry.bytes[8] = 4;
  const view = new DataView(entry.bytes.buffer, entry.bytes.byteOffset);
  view.setUint32(0, crc32c(entry.bytes.subarray(4)));
  return entry;
}

/** A configuration as a version with another format would write it. */
function configurationOfFormat3(): Uint8Array {
  const bytes = encodeConfiguration(configuration);
  bytes[0] = 3;
  return bytes;
}

/** The header of a state in the next format. */
const STATE_OF_FORMAT_4 = Uint8Array.of(1, 4, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0);

describe("U4: bytes of the future", () => {
  test.each<[string, () => unknown]>([
    ["a command of another format", () => decodeCommand(Uint8Array.of(2, 3, 1))],
    ["a command of another op", () => decodeCommand(Uint8Array.of(1, 11))],
    ["a command with other flags", () => decodeCommand(Uint8Array.of(1, 2, 2, 0, 1, 0x6b))],
    ["another condition", () => decodeCommand(Uint8Array.of(1, 2, 0, 1, 6, 1, 0x6b))],
    ["another operation in a transaction", () => decodeCommand(Uint8Array.of(1, 4, 0, 1, 6, 0))],
    ["a configuration of another format", () => decodeConfiguration(configurationOfFormat3())],
    ["a state of another format", () => new KvStore().restorer().feed(STATE_OF_FORMAT_4)],
    [
      "an entry of another kind, from a peer",
      () => {
        const body = encodeMessages([{ ...appendOf(1, []), entries: [entryOfKind4()] } as never]);
        return decodeMessages(body, { from: n1, to: n2 });
      },
    ],
  ])("%s is refused, and not as damage", (_what, read) => {
    expect(read).toThrow(NewerError);
    expect(read).toThrow(UPGRADE);
  });

  test("a batch of the log with more in it is newer, and not damaged", () => {
    const place = { segment: 1, offset: 0, chain: 0 };
    const nothing = { hardState: null, position: null, reset: null };
    const { bytes } = encodeBatch({ ...nothing, entries: [entryOfKind4()] }, place);
    const read = readBatch(bytes, place);
    expect(read).toMatchObject({ kind: "newer", what: expect.stringMatching(UPGRADE) });
  });

  test("another version of the peer protocol", () => {
    const self = { ...identity, life: 0, peerUrl: "http://n1.test" };
    const speaker = { ...self, id: n2, incarnation: "second", peerUrl: "http://n2.test" };
    const headers = identityHeaders(speaker, n1, null);
    expect(checkAddress(self, headers)).toMatchObject({ from: n2 });
    expect(checkAddress(self, { ...headers, "quorate-protocol": "2" })).toEqual({
      code: "PROTOCOL_MISMATCH",
      text: "speaks peer protocol 1, not 2: upgrade the older node",
    });
  });

  test("another version of snapshots and backups, which no checksum covers", () => {
    const header = new ByteWriter();
    for (const word of [0x51534e50, 2, 0, 0]) header.u32(word);
    const line = /version 2 of snapshots, not 1: damaged, or of another version of Quorate/;
    expect(() => new SnapshotScanner().push(header.finish())).toThrow(line);
    const file = join(temporaryFolder(), "backup");
    writeFileSync(file, header.finish());
    expect(() => readBackup(file)).toThrow(line);
  });
});

function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "quorate-newer-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** What there is, byte for byte. */
function filesIn(folder: string): readonly (readonly [string, string])[] {
  const names = readdirSync(folder).filter((name) => !name.startsWith("lock-"));
  return names.sort().map((name) => [name, readFileSync(join(folder, name)).toString("hex")]);
}

/** Writes a file of the directory again, with a field more and its checksum right. */
function addField(folder: string, file: string, change: (value: never) => unknown): void {
  const path = join(folder, file);
  const { checksum: _, ...value } = JSON.parse(readFileSync(path, "utf8")) as Record<string, never>;
  const changed = change(value as never) as Record<string, unknown>;
  const checksum = crc32c(bytesOf(JSON.stringify(changed)));
  writeFileSync(path, JSON.stringify({ ...changed, checksum }));
}

/** A directory of a member of three: others could make good what it lost. */
async function memberIn(folder: string, write: (disk: Disk) => Promise<void>): Promise<void> {
  await withDisk(folder, async (disk) => {
    await write(disk);
    const peers = new PeerBook(disk);
    await durable((done) => peers.record(n2, { incarnation: "x", since: 0 }, done));
    await durable((done) => writeIdentity(disk, identity, done));
  });
}

function append(entry: Entry) {
  return async (disk: Disk): Promise<void> => {
    const { wal } = openStorage(disk, { segmentBytesMax: SEGMENT_BYTES_MAX });
    const hardState = { term: asTerm(1), vote: null };
    await durable((done) => {
      wal.write({ number: 1, hardState, reset: null, entries: [entry] }, done);
    });
  };
}

/** A snapshot of such a state, and a log behind it. */
async function stateOfFormat4(disk: Disk): Promise<void> {
  const { snapshots, wal } = openStorage(disk, { segmentBytesMax: SEGMENT_BYTES_MAX });
  const place = { index: asIndex(1), term: asTerm(1) };
  const meta = { ...place, time: 0 as ClusterTime, configuration };
  await durable((done) => {
    snapshots.save({ meta, chunks: [STATE_OF_FORMAT_4].values() }, () => done());
  });
  const hardState = { term: asTerm(1), vote: null };
  await durable((done) => {
    wal.write({ number: 1, hardState, reset: meta, entries: [] }, done);
  });
}

/** Opens the directory as the program does, and says why it must not. */
function whyNot(folder: string): Promise<Error> {
  return withDisk(folder, async (disk) => {
    const config = resolveConfig({ flags: { name: n1 }, env: {}, file: null });
    const opened = await new Promise((resolve) => {
      const found = must(readIdentity(disk), "an identity");
      new PeerBook(disk).incarnationOf(n2);
      const options = {
        identity: found,
        newIncarnation: () => "another",
        raft: raftOptions(config, found.bootstrap),
        random: new Prng("newer"),
        snapshots: snapshotLimits(config),
        segmentBytesMax: SEGMENT_BYTES_MAX,
        disk,
        runtime: nodeRuntime,
        transport: { send: () => {}, sendSnapshot: () => {} },
        machine: new KvStore(),
        onChange: () => {},
        onConfiguration: () => {},
        onSnapshot: () => {},
      };
      openOrRepair(options, resolve);
    });
    throw opened instanceof Error ? opened : new Error("it was opened");
  }).catch((error: unknown) => error as Error);
}

describe("U4: a data directory of the future is not opened, and nothing in it is changed", () => {
  const noop = append(entryOf("noop", new Uint8Array()));
  const nothing = (): void => {};
  test.each<[string, (disk: Disk) => Promise<void>, (folder: string) => void]>([
    [
      "the identity says more",
      noop,
      (folder) => addField(folder, "identity.json", (value: object) => ({ ...value, format: 2 })),
    ],
    [
      "more is written down of a peer",
      noop,
      (folder) => addField(folder, "peers.json", () => ({ n2: { ...peer, zone: "z" } })),
    ],
    [
      "the founders are written down in another format",
      noop,
      (folder) =>
        addField(folder, "identity.json", (value: object) => {
          return { ...value, members: Buffer.from(configurationOfFormat3()).toString("hex") };
        }),
    ],
    ["an entry of another kind", append(entryOfKind4()), nothing],
    [
      "a configuration of another format in the log",
      append(entryOf("config", configurationOfFormat3())),
      nothing,
    ],
    ["a snapshot whose state has another format", stateOfFormat4, nothing],
  ])("%s", async (_what, write, change) => {
    const folder = temporaryFolder();
    await memberIn(folder, write);
    change(folder);
    const before = filesIn(folder);
    const why = await whyNot(folder);
    expect(why).toBeInstanceOf(StorageError);
    expect(why).not.toBeInstanceOf(DamageError);
    expect(why.message).toMatch(UPGRADE);
    expect(filesIn(folder)).toEqual(before);
  });

  const peer = { incarnation: "x", since: 0 };
});

describe("U4: a committed command of the future", () => {
  test("is never skipped: nothing goes on", () => {
    const store = new KvStore();
    const apply = () => store.apply(COMMAND_OF_THE_FUTURE, 1);
    expect(apply).toThrow(AssertionError);
    expect(apply).toThrow("a command of op 99 is of a newer version of Quorate: upgrade this node");
    expect(store.commands).toBe(0);
  });

  test("ends the node with one line that says so", async () => {
    const folder = temporaryFolder();
    await memberIn(folder, append(entryOf("command", COMMAND_OF_THE_FUTURE)));
    // Alone it knows at once that the command is committed.
    await recover({ name: n1, dataDir: folder });
    const [clients, peers] = await freePorts(2);
    const node = serve({
      name: n1,
      "data-dir": folder,
      "client-listen": `127.0.0.1:${clients}`,
      "peer-listen": `127.0.0.1:${peers}`,
    });
    onTestFinished(() => node.kill());
    expect(await node.exited).toEqual({ code: 1, signal: null });
    expect(node.messages("fatal")).toEqual([
      "a committed command cannot be read: " +
        "a command of op 99 is of a newer version of Quorate: upgrade this node",
    ]);
    expect(node.stderr).toBe("");
  });
});
