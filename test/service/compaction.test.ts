/** Forgetting, by real nodes. */
import { afterEach, expect, test, vi } from "vitest";
import { TXN_LENGTH_MAX } from "../../src/kv/operation.ts";
import { keyFor, Lab } from "./lab.ts";

const TIMEOUT_MS = 10_000;
/** More than all commands together free by themselves. */
const KEYS = 20_000;

let lab: Lab;
afterEach(() => lab.close());

test("what is compacted is freed soon on every node, though nobody writes any more", async () => {
  lab = await Lab.start(["n1", "n2", "n3"]);
  const { service } = await lab.leader();
  const txn = { type: "txn", compares: [], failure: [] } as const;
  for (let at = 0; at < KEYS; at += TXN_LENGTH_MAX) {
    const success = Array.from({ length: TXN_LENGTH_MAX }, (_, i) => ({
      type: "put" as const,
      key: keyFor(`k/${at + i}`),
      value: new Uint8Array(),
      lease: { kind: "none" } as const,
      returnPrevious: false,
    }));
    await service.write({ ...txn, success }, TIMEOUT_MS);
  }
  const all = { key: keyFor("k/"), end: keyFor("k0"), returnPrevious: false } as const;
  await service.write({ ...txn, success: [{ type: "delete", ...all }] }, TIMEOUT_MS);
  const { revision } = service.storeStatus();
  const last = { key: keyFor("last"), value: new Uint8Array(), conditions: [] } as const;
  await service.write({ type: "put", ...last, returnPrevious: false }, TIMEOUT_MS);
  await service.write({ type: "compact", revision: revision + 1 }, TIMEOUT_MS);
  for (const { store } of lab.nodes) {
    await vi.waitFor(() => expect(store["keyspace"].historyLength).toBe(1), TIMEOUT_MS);
  }
});
