/** Copies of the whole state, of any node, and snapshots by hand (http-api.md, section 2). */
import { afterEach, describe, expect, test } from "vitest";
import { BACKUPS_MAX } from "../../src/service/backups.ts";
import type { ServiceError } from "../../src/service/errors.ts";
import { chunksOf, sums } from "../kv/fixtures.ts";
import { bytesOfBackup, contentOf, watchViews } from "./frozen.ts";
import { failure, keyFor, Lab, linearizable, putOf, stale } from "./lab.ts";

const TIMEOUT_MS = 5_000;
let lab: Lab;

afterEach(async () => {
  await lab.close();
});

describe("a backup", () => {
  test("of any node has every write acknowledged before, and none that came later", async () => {
    lab = await Lab.start(["n1", "n2", "n3"]);
    const leader = await lab.leader();
    for (const node of lab.nodes) {
      const value = `before ${node.id}`;
      const { revision } = await leader.service.write(putOf("k", value), TIMEOUT_MS);
      const backup = await node.service.backup(linearizable());
      await leader.service.write(putOf("k", "after"), TIMEOUT_MS);
      await node.service.get(keyFor("k"), linearizable());
      const { meta, store } = contentOf(bytesOfBackup(backup));
      backup.end();
      expect(backup.revision).toBe(revision);
      expect(store.revision).toBe(revision);
      expect(Buffer.from(store.get(keyFor("k"))?.value ?? []).toString()).toBe(value);
      expect(meta.configuration.voters).toEqual(["n1", "n2", "n3"]);
      expect(meta.index).toBeLessThan(node.node.status().applied);
      // The clock that leases live by goes on from here, and must not have run ahead.
      expect(meta.time).toBeGreaterThanOrEqual(store.clusterTime);
      expect(meta.time).toBeLessThanOrEqual(leader.node.status().clusterTime);
    }
  });

  test("is of the state at its place in the log, also right behind a snapshot", async () => {
    lab = await Lab.start(["n1"]);
    const { node, store, service } = await lab.leader();
    await service.write(putOf("k", "v"), TIMEOUT_MS);
    const { index } = await service.saveSnapshot(TIMEOUT_MS);
    const backup = await service.backup(stale());
    const { meta, store: copy } = contentOf(bytesOfBackup(backup));
    backup.end();
    expect(meta.index).toBe(index);
    expect(node.status().applied).toBe(index);
    expect(sums(chunksOf(copy))).toEqual(sums(chunksOf(store)));
  });

  test("is refused where there are as many as may be, until one of them ends", async () => {
    lab = await Lab.start(["n1"]);
    const { store, service } = await lab.leader();
    const views = watchViews(store);
    const open = [];
    for (let count = 0; count < BACKUPS_MAX; count++) open.push(await service.backup(stale()));
    const error = (await failure(service.backup(stale()))) as ServiceError;
    expect(error).toMatchObject({ code: "OVERLOADED", outcome: "not_applied", retryable: true });
    const [first] = open;
    first?.end();
    first?.end();
    expect(views.open).toBe(BACKUPS_MAX - 1);
    const next = await service.backup(stale());
    expect(await failure(service.backup(stale()))).toMatchObject({ code: "OVERLOADED" });
    for (const backup of [...open, next]) backup.end();
    expect(views.open).toBe(0);
  });

  test("that cannot begin is none of them", async () => {
    lab = await Lab.start(["n1", "n2", "n3"]);
    const follower = await lab.follower();
    const views = watchViews(follower.store);
    lab.cut(follower.id);
    for (let count = 0; count <= BACKUPS_MAX; count++) {
      const error = (await failure(follower.service.backup(linearizable(50)))) as ServiceError;
      expect(error.code).toMatch(/^(READ_TIMEOUT|NO_LEADER)$/);
    }
    expect(views.most).toBe(0);
    const backup = await follower.service.backup(stale());
    backup.end();
  });
});

describe("a snapshot by hand", () => {
  test("has all that was applied before, and there are never two at a time", async () => {
    lab = await Lab.start(["n1"]);
    const { node, store, service } = await lab.leader();
    const views = watchViews(store);
    for (let round = 0; round < 3; round++) {
      const saved = [];
      for (let count = 0; count < 5; count++) {
        await service.write(putOf(`k${count}`, `${round}`), TIMEOUT_MS);
        const { applied } = node.status();
        saved.push(
          service.saveSnapshot(TIMEOUT_MS).then(({ index, bytes }) => {
            expect(index).toBeGreaterThanOrEqual(applied);
            expect(bytes).toBeGreaterThan(100);
          }),
        );
      }
      await Promise.all(saved);
    }
    expect(views).toEqual({ open: 0, most: 1 });
  });

  test("is the one that is there, where nothing has changed since", async () => {
    lab = await Lab.start(["n1"]);
    const { store, service } = await lab.leader();
    const first = await service.saveSnapshot(TIMEOUT_MS);
    const views = watchViews(store);
    expect(await service.saveSnapshot(TIMEOUT_MS)).toEqual(first);
    expect(views.most).toBe(0);
  });
});
