/** What every version has written is read by this one (U3): docs/UPGRADES.md. */
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { must } from "../../src/lib/assert.ts";
import { Prng } from "../../src/lib/random.ts";
import { type KvResult, KvStore } from "../../src/kv/store.ts";
import { PeerBook, readIdentity } from "../../src/node/identity.ts";
import { nodeRuntime } from "../../src/node/node-runtime.ts";
import { type OpenNode, openNode } from "../../src/node/open-node.ts";
import type { Transport } from "../../src/node/ports.ts";
import { resolveConfig } from "../../src/config.ts";
import { durable, withDisk } from "../../src/program/offline/offline-disk.ts";
import { raftOptions, SEGMENT_BYTES_MAX, snapshotLimits } from "../../src/program/limits.ts";
import { memberOf } from "../../src/raft/membership.ts";
import { ContentHash } from "../../src/service/node-content-hash.ts";
import type { Disk } from "../../src/storage/disk.ts";
import { openStorage } from "../../src/storage/open.ts";
import { StorageError } from "../../src/storage/storage-error.ts";
import { call } from "../integration/client.ts";
import { until } from "../integration/until.ts";
import { contentsOf, type Expected, readExpected, REPEATED } from "./contents.ts";
import { clientUrl, GoldenNodes, KEPT } from "./nodes.ts";

const DIRECTORY_BYTES_MAX = 100_000;
const versions = readdirSync(import.meta.dirname).filter((name) => /^v\d+\.\d+$/.test(name));

function expectedOf(version: string): Expected {
  return readExpected(readFileSync(join(import.meta.dirname, version, "expected.json"), "utf8"));
}

/** A copy of a version's directories, to be used and changed; removed with the test. */
function copyOf(version: string): string {
  const folder = mkdtempSync(join(tmpdir(), "quorate-golden-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  cpSync(join(import.meta.dirname, version), folder, { recursive: true });
  return folder;
}

/** Nobody is there: what is looked at is the data only. */
const silent: Transport = { send: () => {}, sendSnapshot: () => {} };

function open(disk: Disk, store: KvStore): Promise<OpenNode<KvResult>> {
  const identity = must(readIdentity(disk), "an identity");
  const config = resolveConfig({ flags: { name: identity.id }, env: {}, file: null });
  return new Promise((resolve, reject) => {
    const options = {
      raft: raftOptions(config, identity.bootstrap),
      random: new Prng("golden"),
      snapshots: snapshotLimits(config),
      segmentBytesMax: SEGMENT_BYTES_MAX,
      doubt: null,
      disk,
      runtime: nodeRuntime,
      transport: silent,
      machine: store,
      onChange: () => {},
      onConfiguration: () => {},
      onSnapshot: () => {},
    };
    openNode(options, (opened) => {
      if (opened instanceof StorageError) reject(opened);
      else resolve(opened);
    });
  });
}

function hashOf(store: KvStore): string {
  const hash = new ContentHash();
  const slices = store.readAll(store.revision, (page) => hash.add(page));
  while (slices.next().done !== true);
  return hash.finish();
}

test("there is a version to read", () => {
  expect(versions).toContain("v0.1");
});

describe.each(versions)("U3: the data directories of %s", (version) => {
  const { digest, ...expected } = expectedOf(version);

  test.each(KEPT)("are small, and that of %s says all that it says in every version", (name) => {
    const folder = join(import.meta.dirname, version, name);
    const files = readdirSync(folder);
    expect(files.some((file) => file.endsWith(".snap"))).toBe(true);
    expect(
      files.filter((file) => !/^((identity|peers)\.json|joining\.txt|.*\.(log|snap))$/.test(file)),
    ).toEqual([]);
    const sizes = files.map((file) => statSync(join(folder, file)).size);
    expect(sizes.reduce((sum, size) => sum + size)).toBeLessThan(DIRECTORY_BYTES_MAX);
  });

  test.each(KEPT)("are opened by a node that is alone: %s", async (name) => {
    await withDisk(join(copyOf(version), name), async (disk) => {
      const store = new KvStore();
      const { raft, notes } = await open(disk, store);
      // Nobody leads, so nothing of the log is committed: it is read once more, and applied here.
      const { saved, wal } = openStorage(disk, { segmentBytesMax: SEGMENT_BYTES_MAX });
      await durable((done) => wal.write(null, done));
      const snapshot = must(saved.snapshot, "a snapshot");
      const behind = saved.entries.filter(({ index }) => index > snapshot.index);
      // Without these, the log would not be read at all.
      expect(behind.length).toBeGreaterThan(3);
      expect(store.revision).toBeLessThan(expected.revision);
      for (const { kind, data, time } of behind) if (kind === "command") store.apply(data, time);
      expect(notes).toEqual([]);
      expect(store.digestAt(digest.commands)).toBe(digest.chain);
      expect(store.revision).toBe(expected.revision);
      expect(store.compactRevision).toBe(expected.compact_revision);
      expect(hashOf(store)).toBe(expected.hash);
      expect(store.liveKeys).toBe(expected.keys.length);
      const { configuration } = raft.status(nodeRuntime.now());
      expect(configuration.voters).toEqual(expected.members.map((member) => member.name));
      for (const { name: id, peer_url: peerUrl, incarnation, since } of expected.members) {
        expect(memberOf(configuration, id as never)).toMatchObject({ peerUrl, incarnation, since });
      }
      const others = KEPT.filter((other) => other !== name);
      const book = new PeerBook(disk);
      expect(others.filter((other) => book.incarnationOf(other as never) === null)).toEqual([]);
    });
  });

  test("are those of a cluster that runs, answers as it did, and goes on", async () => {
    const nodes = new GoldenNodes(copyOf(version));
    onTestFinished(() => nodes.kill());
    for (const name of KEPT) nodes.start(name);
    await nodes.ready();
    for (const name of KEPT) {
      const isThere = async () => {
        const { body } = await call(`${clientUrl(name)}/v1/status`);
        return Number(body["revision"]) >= expected.revision;
      };
      await until(`${name} has applied its log`, isThere);
      const found = await contentsOf(clientUrl(name), expected.past);
      expect({ ...found, version: expected.version }).toEqual(expected);
    }
    const [n1, , n4] = KEPT.map(clientUrl);
    const again = await call(`${n4}${REPEATED.path}`, {
      method: "POST",
      body: { by: REPEATED.by },
      headers: { "idempotency-key": REPEATED.key },
    });
    expect(again.headers["idempotency-replayed"]).toBe("true");
    expect(again.body["value"]).toBe(REPEATED.by);
    const written = await call(`${n1}/v1/kv/new`, { method: "PUT", body: { value: "v" } });
    expect(written.body["mod_revision"]).toBe(expected.revision + 1);
    const at = `/v1/admin/hash?consistency=stale&min_revision=${expected.revision + 1}`;
    const hashes = await Promise.all(KEPT.map((name) => call(clientUrl(name) + at)));
    expect(new Set(hashes.map(({ body }) => body["hash"])).size).toBe(1);
    expect(nodes.complaints()).toEqual([]);
    await nodes.stop(...KEPT);
  });
});
