/** `quorate restore`: members of a new cluster out of one backup (http-api.md, section 2). */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { StartError } from "../../../src/program/lifetime.ts";
import { readBackup } from "../../../src/program/offline/backup-file.ts";
import { clusterIdOf } from "../../../src/program/members/first-start.ts";
import { restore } from "../../../src/program/offline/restore.ts";
import type { NodeId } from "../../../src/raft/types.ts";
import { openNodeDisk } from "../../../src/storage/node-disk.ts";
import { StorageError } from "../../../src/storage/storage-error.ts";
import { chunksOf, sums } from "../../kv/fixtures.ts";
import { backupIn, contentsOf, filesIn, MEMBERS, temporaryFolder } from "./data-dirs.ts";

let folder: string;
let backup: Awaited<ReturnType<typeof backupIn>>;

beforeEach(async () => {
  folder = temporaryFolder();
  backup = await backupIn(folder);
});

function configOf(name: string) {
  const id = name as NodeId;
  const peerUrl = MEMBERS.get(id) ?? "";
  return { name: id, dataDir: join(folder, name), peerUrl, initialCluster: MEMBERS };
}

test("a member has the whole state, in a new cluster of which it is a part already", async () => {
  const config = configOf("n1");
  const { store } = backup;
  const restored = await restore(backup.file, config);
  const { meta } = readBackup(backup.file);
  const { cluster } = restored;
  // All of its members find the same name for it, and nodes of the old cluster another one.
  expect(cluster).toBe((await restore(backup.file, configOf("n2"))).cluster);
  expect(cluster).not.toBe(clusterIdOf(MEMBERS));
  expect(restored).toEqual({
    cluster,
    revision: store.revision,
    compactRevision: 3,
    keys: 4,
    index: meta.index,
  });
  const { identity, saved, notes, snapshotName } = await contentsOf(config.dataDir);
  expect(identity).toMatchObject({
    cluster,
    id: "n1",
    joined: true,
    since: 0,
  });
  expect(notes).toEqual([]);
  const { index, term, time } = meta;
  expect(saved.snapshot).toMatchObject({ index, term, time });
  expect(saved.snapshot?.configuration).toMatchObject({
    voters: ["n1", "n2", "n3"],
    outgoing: [],
    learners: [],
  });
  expect(identity.bootstrap).toEqual(saved.snapshot?.configuration);
  const urls = identity.bootstrap.members.map(({ id, peerUrl }) => [id, peerUrl]);
  expect(new Map(urls as [NodeId, string][])).toEqual(MEMBERS);
  expect(saved).toMatchObject({
    entries: [],
    base: { index, term },
    hardState: { term, vote: null },
  });
  // Values, versions, history, leases with their deadlines, and remembered answers.
  const found = readBackup(join(config.dataDir, snapshotName ?? "")).store;
  expect(sums(chunksOf(found))).toEqual(sums(chunksOf(store)));
  expect(found.clusterTime).toBe(store.clusterTime);
});

test("members of one backup are alike to the byte, but for who they are", async () => {
  const configs = ["n1", "n2", "n3"].map(configOf);
  for (const config of configs) await restore(backup.file, config);
  const [first, ...others] = configs.map(({ dataDir }) => filesIn(dataDir));
  expect(Object.keys(first ?? {}).length).toBe(2);
  for (const other of others) expect(other).toEqual(first);
  const identities = await Promise.all(configs.map(({ dataDir }) => contentsOf(dataDir)));
  expect(new Set(identities.map(({ identity }) => identity.incarnation)).size).toBe(3);
});

test("a file that is damaged or cut off anywhere makes nothing", async () => {
  const whole = readFileSync(backup.file);
  const bad = join(folder, "bad");
  const config = configOf("n1");
  const places = Array.from({ length: 40 }, (_, at) => Math.floor((at * whole.length) / 40));
  for (const place of [...places, whole.length - 1]) {
    const flipped = Buffer.from(whole);
    flipped[place] = (flipped[place] ?? 0) ^ 1;
    for (const bytes of [flipped, whole.subarray(0, place)]) {
      writeFileSync(bad, bytes);
      const error = await restore(bad, config).then(
        () => null,
        (reason: unknown) => reason,
      );
      expect(error).toBeInstanceOf(StartError);
      expect((error as Error).message).toMatch(
        /^\S+ is damaged, or no whole backup \(.+\): nothing/,
      );
    }
  }
  expect(existsSync(config.dataDir)).toBe(false);
});

test("a member alone needs no list of members", async () => {
  const alone = { ...configOf("n1"), initialCluster: null };
  const { cluster } = await restore(backup.file, alone);
  expect(cluster).toMatch(/^[0-9a-f]{16}$/);
  const { saved } = await contentsOf(alone.dataDir);
  expect(saved.snapshot?.configuration.voters).toEqual(["n1"]);
});

test("a file that is not there is no bug", async () => {
  const missing = restore(join(folder, "none"), configOf("n1"));
  await expect(missing).rejects.toThrow(/^cannot read .*none: .*ENOENT/);
});

test("a directory is no backup, and no bug", async () => {
  const refused = restore(folder, configOf("n1"));
  await expect(refused).rejects.toThrow(StartError);
  await expect(refused).rejects.toThrow(/^cannot read .*: .*EISDIR/);
});

test("a directory that is not empty is left alone", async () => {
  const config = configOf("n1");
  await restore(backup.file, config);
  const before = filesIn(config.dataDir);
  await expect(restore(backup.file, config)).rejects.toThrow(
    /is not empty \(it holds identity.json\)/,
  );
  expect(filesIn(config.dataDir)).toEqual(before);
  const foreign = configOf("n2");
  mkdirSync(foreign.dataDir);
  writeFileSync(join(foreign.dataDir, "letter.txt"), "dear");
  await expect(restore(backup.file, foreign)).rejects.toThrow(StorageError);
  expect(Object.keys(filesIn(foreign.dataDir))).toEqual(["letter.txt"]);
});

test("a directory that a node uses is left alone", async () => {
  const config = configOf("n1");
  const disk = await openNodeDisk({ path: config.dataDir, fail: () => {} });
  await expect(restore(backup.file, config)).rejects.toThrow(/is in use by process \d+/);
  await disk.close();
  expect((await restore(backup.file, config)).keys).toBe(4);
});
