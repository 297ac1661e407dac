/** Bad input for leases and locks (http-api.md, sections 2, 6 and 7; X7). */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Refusals } from "./refusals.ts";

let refusals: Refusals;

beforeAll(async () => {
  refusals = await Refusals.start();
});

afterAll(() => refusals.close());

const json = { "content-type": "application/json" };
/** Times to live that are none: of at least 0.1 s, and at most a hundred years. */
const ttls = [
  ["0", "-1", "0.05", "1e-9", "3162240001", "1e300", "1e400", "null", "true", "[30]", "{}"],
  ['""', '"soon"', '"30s"', '"1e3"', '"-1"', '" 30"', '"0"', '"0x10"', '"Infinity"'],
].flat();
const ids = ["0", "-1", "1.5", '"1"', "null", "true", "[1]", "1e300", "9007199254740992"];

async function refuse(method: "POST" | "PUT", path: string, body: string): Promise<void> {
  await refusals.expect(path, { method, headers: json, body }, { code: "INVALID_PARAM" });
}

describe("leases", () => {
  test.each(ttls)("a ttl of %s is none", async (ttl) => {
    await refuse("POST", "/v1/leases", `{"ttl":${ttl}}`);
  });

  test("a lease has a ttl", async () => {
    await refuse("POST", "/v1/leases", "{}");
  });

  test.each(ids)("an id of %s is none", async (id) => {
    await refuse("POST", "/v1/leases", `{"ttl":30,"id":${id}}`);
  });

  test("LEASE_EXISTS: an id is given once", async () => {
    const question = { method: "POST", body: { ttl: 30, id: 4711 } } as const;
    expect((await refusals.ask("/v1/leases", question)).status).toBe(201);
    await refusals.expect("/v1/leases", question, { code: "LEASE_EXISTS" });
  });

  test.each(
    [
      ["987654", "0", "-1", "+1", "01", "1.5", "1e3", "0x1", "abc", "1/2", "%31", "null", "a/keys"],
      ["9007199254740992", "99999999999999999999", "", "..", "__proto__"],
    ].flat(),
  )("LEASE_NOT_FOUND: /v1/leases/%s", async (id) => {
    for (const method of ["GET", "PUT", "DELETE"] as const) {
      await refusals.expect(`/v1/leases/${id}`, { method }, { code: "LEASE_NOT_FOUND" });
    }
  });

  test.each(["%ff", "%zz"])("INVALID_KEY: /v1/leases/%s cannot be read", async (id) => {
    for (const method of ["GET", "PUT", "DELETE"] as const) {
      await refusals.expect(`/v1/leases/${id}`, { method }, { code: "INVALID_KEY" });
    }
  });

  test("LEASE_NOT_FOUND: one that was revoked, whatever is asked of it", async () => {
    const granted = await refusals.ask("/v1/leases", { method: "POST", body: { ttl: 30 } });
    const { id } = JSON.parse(granted.text) as { id: number };
    const path = `/v1/leases/${id}`;
    expect((await refusals.ask(path, { method: "DELETE" })).status).toBe(200);
    const code = "LEASE_NOT_FOUND";
    for (const method of ["GET", "PUT", "DELETE"] as const) {
      await refusals.expect(path, { method }, { code });
    }
    const body = { value: "after" };
    for (const key of ["/keys/k/", "/v1/kv/k"]) {
      await refusals.expect(`${key}?lease=${id}`, { method: "PUT", body }, { code });
      const inBody = { value: "after", lease: id };
      await refusals.expect(key, { method: "PUT", body: inBody }, { code });
    }
  });

  test("renewing and revoking take no body", async () => {
    for (const method of ["PUT", "DELETE"] as const) {
      const question = { method, body: { ttl: 30 } };
      await refusals.expect("/v1/leases/4711", question, { code: "INVALID_PARAM" });
    }
  });

  test("keys are told by GET only", async () => {
    for (const method of ["PUT", "DELETE"] as const) {
      await refusals.expect("/v1/leases/4711?keys", { method }, { code: "INVALID_PARAM" });
    }
  });
});

describe("locks", () => {
  const path = "/v1/locks/l";

  test.each(ttls)("a ttl of %s is none", async (ttl) => {
    await refuse("POST", path, `{"owner":"a","ttl":${ttl}}`);
    await refuse("PUT", path, `{"token":1,"ttl":${ttl}}`);
  });

  test.each(['""', "7", "null", "true", '["a"]', '"\\ud800"', `"${"x".repeat(257)}"`])(
    "an owner of %.20s is none",
    async (owner) => {
      await refuse("POST", path, `{"owner":${owner},"ttl":30}`);
    },
  );

  test.each([
    "-1",
    "61",
    "60.001",
    "1e300",
    "1e400",
    "null",
    "true",
    "[5]",
    '""',
    '"5"',
    '"61s"',
    '"-5s"',
  ])("a wait of %s is none", async (wait) => {
    await refuse("POST", path, `{"owner":"a","ttl":30,"wait":${wait}}`);
  });

  test.each(ids)("a token of %s is none", async (token) => {
    await refuse("PUT", path, `{"token":${token},"ttl":30}`);
  });

  test("a token is named", async () => {
    await refuse("PUT", path, '{"ttl":30}');
    await refusals.expect(path, { method: "DELETE" }, { code: "INVALID_PARAM" });
    const question = { method: "DELETE", body: { token: 1 } } as const;
    await refusals.expect(`${path}?token=1`, question, { code: "INVALID_PARAM" });
  });

  test("KEY_TOO_LONG: a name and an owner that make too long a key together", async () => {
    const name = "%C3%A4".repeat(500);
    const body = { owner: "\u20ac".repeat(256), ttl: 30 };
    const question = { method: "POST", body } as const;
    await refusals.expect(`/v1/locks/${name}`, question, { code: "KEY_TOO_LONG" });
  });

  test("LOCK_HELD: by another, who is named", async () => {
    const first = await refusals.ask(path, { method: "POST", body: { owner: "a", ttl: 30 } });
    const { token } = JSON.parse(first.text) as { token: number };
    const other = { method: "PUT", body: { token: token + 1, ttl: 30 } } as const;
    await refusals.expect(path, other, { code: "LOCK_HELD", retryable: true });
    await refusals.expect("/v1/locks/none", other, { code: "LOCK_HELD", retryable: true });
    const wrong = await refusals.ask(`${path}?token=${token - 1}`, { method: "DELETE" });
    expect({ status: wrong.status, text: wrong.text }).toEqual({
      status: 200,
      text: '{"released":false}',
    });
    // To be refused, the other came and went: that is two changes of the store.
    const { revision } = refusals.node.store;
    const second = await refusals.ask(path, { method: "POST", body: { owner: "b", ttl: 30 } });
    expect(second.status).toBe(409);
    expect(JSON.parse(second.text)).toMatchObject({
      code: "LOCK_HELD",
      outcome: "not_applied",
      retryable: true,
      details: { owner: "a", token },
    });
    expect(refusals.node.store.revision - revision).toBe(2);
    const state = JSON.parse((await refusals.ask(path)).text) as unknown;
    expect(state).toMatchObject({ holder: { owner: "a", token }, waiting: 0 });
  });
});
