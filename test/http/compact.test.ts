/** Compaction by hand (section 2). */
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import type { Lab, LabNode } from "../service/lab.ts";
import { failureIn, Site } from "./site.ts";

let site: Site;
let lab: Lab;
let node: LabNode;

beforeAll(async () => {
  ({ site, lab, node } = await Site.alone());
});

beforeEach(async () => {
  for (const value of ["1", "2", "3"]) {
    await site.ask("/v1/kv/k", { method: "PUT", body: { value } });
  }
});

afterAll(async () => {
  await site.close();
  await lab.close();
});

function compact(body: Readonly<Record<string, unknown>>) {
  return site.ask("/v1/admin/compact", { method: "POST", body });
}

test("what was before is gone, and the revision itself can be read", async () => {
  const { revision } = node.store;
  const reply = await compact({ revision: revision - 1 });
  expect(reply.status).toBe(200);
  expect(JSON.parse(reply.text)).toEqual({ compact_revision: revision - 1, revision });
  const past = await site.ask(`/v1/kv/k?revision=${revision - 1}`);
  expect(JSON.parse(past.text)).toMatchObject({ value: "2" });
  const gone = await site.ask(`/v1/kv/k?revision=${revision - 2}`);
  expect(failureIn(gone)).toMatchObject({ status: 410, code: "REVISION_COMPACTED" });
  const watch = await site.ask(`/v1/watch?key=k&since=${revision - 3}`);
  expect(failureIn(watch)).toMatchObject({ status: 410, code: "REVISION_COMPACTED" });
});

test("what is forgotten or not written yet is refused, and changes nothing", async () => {
  const { revision } = node.store;
  expect((await compact({ revision })).status).toBe(200);
  const forgotten = await compact({ revision: revision - 1 });
  expect(failureIn(forgotten)).toMatchObject({ status: 410, code: "REVISION_COMPACTED" });
  const future = await compact({ revision: revision + 1 });
  expect(failureIn(future)).toMatchObject({ status: 400, code: "REVISION_IN_FUTURE" });
  expect(node.store.compactRevision).toBe(revision);
});

test.each([0, -1, 1.5, "2", null, 2 ** 53])("the revision %j is none", async (revision) => {
  expect(failureIn(await compact({ revision }))).toMatchObject({
    status: 400,
    code: "INVALID_PARAM",
  });
});
