/** Data directories and backups as the tests of the offline commands make and read them. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { must } from "../../../src/lib/assert.ts";
import { readIdentity } from "../../../src/node/identity.ts";
import type { NodeId } from "../../../src/raft/types.ts";
import { openNodeDisk } from "../../../src/storage/node-disk.ts";
import { openStorage } from "../../../src/storage/open.ts";
import { linearizable, putOf } from "../../service/lab.ts";
import { bytesOfBackup } from "../../service/frozen.ts";
import { Lab } from "../../service/lab.ts";

export const MEMBERS = new Map(
  ["n1", "n2", "n3"].map((name, at) => [name as NodeId, `http://127.0.0.1:500${at + 1}`]),
);

/** Removed with the test. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "quorate-test-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Writes a backup of a cluster of one with a bit of everything, and says what its store was. */
export async function backupIn(folder: string) {
  const lab = await Lab.start(["old"]);
  const { service, store } = await lab.leader();
  const write = (command: Parameters<typeof service.write>[0], key?: string) =>
    service.write(command, 5_000, key);
  for (const value of ["1", "2", "3"]) await write(putOf("a", value));
  await write({ ...putOf("b", "with a lease"), lease: { kind: "ttl", ttlMs: 60_000 } });
  await write({ type: "grant", id: 7, ttlMs: 90_000 });
  await write(putOf("c", "once"), "the-key");
  await write(putOf("large", "x".repeat(300_000)));
  await write({ type: "compact", revision: 3 });
  const backup = await service.backup(linearizable());
  const file = join(folder, "backup");
  writeFileSync(file, bytesOfBackup(backup));
  backup.end();
  await lab.close();
  return { file, store };
}

/** What a directory holds: what a node that starts there would know. */
export async function contentsOf(path: string) {
  const disk = await openNodeDisk({
    path,
    fail: (error) => {
      throw error;
    },
  });
  const identity = must(readIdentity(disk), "an identity");
  const { saved, notes, snapshotName } = openStorage(disk, { segmentBytesMax: 1e6 });
  await disk.close();
  return { identity, saved, notes, snapshotName };
}

/** Every file of a directory but the identity, which is like no other. */
export function filesIn(path: string): Record<string, string> {
  const names = readdirSync(path).filter((name) => name !== "identity.json");
  return Object.fromEntries(
    names.map((name) => [name, readFileSync(join(path, name)).toString("base64")]),
  );
}
