/** `quorate recover`: a cluster of one out of a survivor (M13). */
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { writeIdentity } from "../../../src/node/identity.ts";
import { durable, withDisk } from "../../../src/program/offline/offline-disk.ts";
import { QUARANTINE_FILE } from "../../../src/program/quarantine.ts";
import { recover } from "../../../src/program/offline/recover.ts";
import { restore } from "../../../src/program/offline/restore.ts";
import { decodeConfiguration } from "../../../src/raft/membership.ts";
import type { NodeId } from "../../../src/raft/types.ts";
import { StorageError } from "../../../src/storage/storage-error.ts";
import { backupIn, contentsOf, filesIn, MEMBERS, temporaryFolder } from "./data-dirs.ts";

const name = "n2" as NodeId;
let dataDir: string;

beforeEach(async () => {
  const folder = temporaryFolder();
  const { file } = await backupIn(folder);
  dataDir = join(folder, name);
  const peerUrl = MEMBERS.get(name) ?? "";
  await restore(file, { name, dataDir, peerUrl, initialCluster: MEMBERS });
});

function recovered(options: { readonly name?: NodeId; readonly dataDir?: string } = {}) {
  return recover({ name, dataDir, ...options });
}

test("keeps the state and the log, and nobody but this node decides", async () => {
  writeFileSync(join(dataDir, "peers.json"), "whom it knew");
  const before = await contentsOf(dataDir);
  const { index, term } = before.saved.base;
  const { cluster, ...about } = await recovered();
  expect(about).toEqual({ lastIndex: index, lastTerm: term, wasInDoubt: false });
  expect(cluster).toMatch(/^[0-9a-f]{16}$/);
  expect(cluster).not.toBe(before.identity.cluster);
  const { identity, saved } = await contentsOf(dataDir);
  expect(identity).toMatchObject({ cluster, id: name, joined: true, since: index + 1 });
  expect(identity.incarnation).not.toBe(before.identity.incarnation);
  expect(saved.snapshot).toEqual(before.saved.snapshot);
  expect(saved.hardState).toEqual({ term: term + 1, vote: null });
  const [entry, ...more] = saved.entries;
  expect(more).toEqual([]);
  expect(entry).toMatchObject({ index: index + 1, term: term + 1, kind: "config" });
  // Cluster time goes on, and never back: leases live by it.
  expect(entry?.time).toBe(before.saved.snapshot?.time);
  const configuration = decodeConfiguration(entry?.data ?? new Uint8Array());
  expect(configuration.voters).toEqual([name]);
  const { incarnation } = identity;
  // A new life of it: the log may name an earlier one, whom new members must not take for it (M8).
  expect(configuration.members).toEqual([
    { id: name, peerUrl: MEMBERS.get(name), incarnation, since: index + 1, isJoining: false },
  ]);
  expect(identity.bootstrap).toEqual(configuration);
  expect(existsSync(join(dataDir, "peers.json"))).toBe(false);
});

test("can be done again, should it have been interrupted", async () => {
  const first = await recovered();
  const second = await recovered();
  expect(second.lastIndex).toBe(first.lastIndex + 1);
  // Who was heard under the first name is not heard under the second.
  expect(second.cluster).not.toBe(first.cluster);
  const { saved } = await contentsOf(dataDir);
  expect(saved.entries.map(({ index }) => index)).toEqual([
    first.lastIndex + 1,
    first.lastIndex + 2,
  ]);
});

test("of a node in doubt ends the doubt, and says that there was one", async () => {
  const { identity } = await contentsOf(dataDir);
  await withDisk(dataDir, (disk) =>
    durable((done) => writeIdentity(disk, { ...identity, since: null }, done)),
  );
  expect(await recovered()).toMatchObject({ wasInDoubt: true });
  expect((await contentsOf(dataDir)).identity.since).not.toBeNull();
});

test("is refused where it would be of no use or of harm, and then changes nothing", async () => {
  const before = filesIn(dataDir);
  await expect(recovered({ name: "n1" as NodeId })).rejects.toThrow(
    /belongs to node n2: say --name n2/,
  );
  const nowhere = join(dataDir, "nowhere");
  await expect(recovered({ dataDir: nowhere })).rejects.toThrow(/there is no .*nowhere: name the/);
  expect(existsSync(nowhere)).toBe(false);
  await withDisk(dataDir, async () => {
    await expect(recovered()).rejects.toThrow(/is in use by process \d+/);
  });
  writeFileSync(join(dataDir, QUARANTINE_FILE), "");
  await expect(recovered()).rejects.toThrow(/is in quarantine, as its state is wrong/);
  rmSync(join(dataDir, QUARANTINE_FILE));
  expect(filesIn(dataDir)).toEqual(before);
  const [snapshot = ""] = Object.keys(before).filter((file) => file.endsWith(".snap"));
  writeFileSync(join(dataDir, snapshot), "damaged");
  await expect(recovered()).rejects.toThrow(/\.snap is damaged/);
  rmSync(join(dataDir, "wal-0000000000000001.log"));
  await expect(recovered()).rejects.toThrow(/holds no data of a node/);
  await expect(recovered()).rejects.toThrow(StorageError);
});
