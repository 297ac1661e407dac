/** What is asked of each operation of the document, and which status it must have. */
import type { Method } from "./openapi-check.ts";
import type { Question } from "./site.ts";

/** A request. */
export type Asked = Question & { readonly url: string };

/** A request, the statuses that it must have, and what must be done before. */
export interface Case extends Asked {
  readonly status: number;
  readonly before?: readonly Asked[];
  /** Of those of the operation; all, if it is not said. */
  readonly methods?: readonly Method[];
}

export const JSON_A = { value: "a" };
const put = (url: string, value = "a"): Asked => ({ url, method: "PUT", body: { value } });
const BINARY: Asked = {
  url: "/v1/kv/bin",
  method: "PUT",
  headers: { "content-type": "application/octet-stream" },
  body: Uint8Array.of(0xff, 0),
};
const lease = (id: number): Asked => ({ url: "/v1/leases", method: "POST", body: { id, ttl: 60 } });
/** Takes a lock. */
export const locked = (name: string): Asked => ({
  url: `/v1/locks/${name}`,
  method: "POST",
  body: { owner: "me", ttl: 60 },
});
const MEMBERS = "/v1/cluster/members";
const learner = (name: string, incarnation: string) => {
  return { name, peer_url: `http://${name}.test:5001`, role: "learner", incarnation };
};
const added = (name: string): Asked => {
  return { url: MEMBERS, method: "POST", body: learner(name, "a") };
};
/** Under a name of its own. */
const named = (asked: Asked): Asked => {
  return { ...asked, headers: { "idempotency-key": asked.url } };
};
const mixed = {
  compare: [{ key: "t", exists: true }],
  success: [
    { put: { key: "t", value: "b", prev: true } },
    { get: { prefix: "t" } },
    { get: { prefix: "t", keys_only: true } },
    { increment: { key: "t-count" } },
    { delete: { key: "t-gone", prev: true } },
    { delete_prefix: { prefix: "u", prev: true } },
  ],
};

/** Requests that succeed, by the operation. */
export const successes: Readonly<Record<string, readonly Case[]>> = {
  getValue: [
    { url: "/keys/none/", status: 200 },
    { url: "/keys/a/?consistency=stale", status: 200, before: [put("/keys/a/?ttl=60")] },
    { url: "/keys/b", status: 304, headers: { "if-none-match": "*" }, before: [put("/keys/b")] },
  ],
  putValue: [
    { url: "/keys/c/?ttl=60", status: 200, body: JSON_A },
    { url: "/keys/c/", status: 200, body: JSON_A, headers: { "idempotency-key": "c" } },
    { url: "/keys/c/", status: 200, body: JSON_A, headers: { "idempotency-key": "c" } },
  ],
  deleteValue: [
    { url: "/keys/c/", status: 200, before: [put("/keys/c/")] },
    { url: "/keys/c/", status: 200, headers: { "idempotency-key": "gone" } },
    { url: "/keys/c/", status: 200, headers: { "idempotency-key": "gone" } },
  ],
  getKey: [
    { url: "/v1/kv/d", status: 200, before: [put("/v1/kv/d?ttl=60")] },
    { url: "/v1/kv/d2", status: 200, before: [lease(71), put("/v1/kv/d2?lease=71")] },
    { url: "/v1/kv/bin", status: 200, before: [BINARY] },
    { url: "/v1/kv/bin?raw", status: 200, before: [BINARY] },
    { url: "/v1/kv/e", status: 304, headers: { "if-none-match": "*" }, before: [put("/v1/kv/e")] },
  ],
  putKey: [
    { url: "/v1/kv/f?prev", status: 201, body: JSON_A, methods: ["put"] },
    { url: "/v1/kv/f?prev", status: 200, body: JSON_A },
    { ...named({ url: "/v1/kv/f2?prev" }), status: 201, body: JSON_A, methods: ["put"] },
    { ...named({ url: "/v1/kv/f2?prev" }), status: 201, body: JSON_A, methods: ["put"] },
    { url: "/v1/kv/bin?prev", status: 200, body: JSON_A, before: [BINARY] },
    { url: "/v1/kv/f?ttl=60", status: 200, body: JSON_A },
  ],
  deleteKey: [
    { url: "/v1/kv/f", status: 200 },
    { url: "/v1/kv/f?prev", status: 200, before: [put("/v1/kv/f")] },
    { url: "/v1/kv/f?prev", status: 200 },
  ],
  incrementKey: [
    { url: "/v1/kv/n/increment", status: 200, body: {} },
    { url: "/v1/kv/n2/increment", status: 200, body: {}, before: [put("/v1/kv/n2?ttl=60", "1")] },
  ],
  listKeys: [
    { url: "/v1/kv", status: 200 },
    { url: "/v1/kv?limit=1", status: 200, before: [put("/v1/kv/g/a"), put("/v1/kv/g/b")] },
    { url: "/v1/kv?delimiter=/", status: 200, before: [put("/v1/kv/g/a"), BINARY] },
    { url: "/v1/kv?count_only&consistency=stale", status: 200 },
    { url: "/v1/kv?keys_only", status: 200 },
    { url: "/v1/kv?prefix=none&since=0&wait=1ms", status: 304 },
    { url: "/v1/kv?prefix=none&since=0&wait=1ms&consistency=stale", status: 304 },
  ],
  deleteKeys: [{ url: "/v1/kv?prefix=g/", status: 200, before: [put("/v1/kv/g/a")] }],
  transact: [
    {
      url: "/v1/txn",
      status: 200,
      body: mixed,
      before: [put("/v1/kv/t"), put("/v1/kv/t-gone"), put("/v1/kv/u1")],
    },
    { url: "/v1/txn", status: 200, body: mixed },
    { url: "/v1/txn", status: 200, body: {} },
  ],
  getKeys: [
    {
      url: "/v1/batch/get",
      status: 200,
      body: { keys: ["h", "none", { key: "//4=", encoding: "base64" }] },
      before: [put("/v1/kv/h")],
    },
  ],
  grantLease: [{ url: "/v1/leases", status: 201, body: { ttl: 60 } }],
  getLease: [
    { url: "/v1/leases/72", status: 200, before: [lease(72), put("/v1/kv/l?lease=72")] },
    { url: "/v1/leases/72?keys", status: 200 },
    { url: "/v1/leases/72?keys&limit=1", status: 200, before: [put("/v1/kv/m?lease=72")] },
  ],
  renewLease: [{ url: "/v1/leases/73", status: 200, before: [lease(73)] }],
  revokeLease: [
    { ...named({ url: "/v1/leases/74" }), status: 200, before: [lease(74)] },
    { ...named({ url: "/v1/leases/74" }), status: 200 },
  ],
  takeLock: [locked("a"), named(locked("n")), named(locked("n"))].map((asked) => {
    return { ...asked, status: 200 };
  }),
  getLock: [
    { url: "/v1/locks/b", status: 200 },
    { url: "/v1/locks/b", status: 200, before: [locked("b")] },
  ],
  releaseLock: [
    { url: "/v1/locks/c?token=1", status: 200 },
    { ...named({ url: "/v1/locks/c2?token=1" }), status: 200 },
    { ...named({ url: "/v1/locks/c2?token=1" }), status: 200 },
  ],
  addMember: [
    { url: MEMBERS, status: 201, body: learner("n4", "a") },
    { url: MEMBERS, status: 200, body: learner("n4", "a") },
  ],
  changeMembers: [{ url: MEMBERS, status: 200, body: { add: [learner("n5", "a")] } }],
  removeMember: [{ url: `${MEMBERS}/n6`, status: 200, before: [added("n6")] }],
  demoteMember: [{ url: `${MEMBERS}/n7/demote`, status: 200, before: [added("n7")] }],
  transferLeadership: [
    { url: "/v1/cluster/leader", status: 200, body: { target: "n1" } },
    { url: "/v1/cluster/leader", status: 200, body: { target: "n1" } },
  ],
  compact: [
    {
      url: "/v1/admin/compact",
      status: 200,
      headers: { "idempotency-key": "compact" },
      body: { revision: 1 },
    },
    {
      url: "/v1/admin/compact",
      status: 200,
      headers: { "idempotency-key": "compact" },
      body: { revision: 1 },
    },
  ],
  hash: [
    { url: "/v1/admin/hash?consistency=stale", status: 200 },
    { url: "/v1/admin/hash?revision=2", status: 200, before: [put("/keys/a/")] },
  ],
  "get-readyz": [
    { url: "/readyz", status: 200 },
    { url: "/readyz?verbose", status: 200 },
  ],
};

/** Requests that fail, by the operation. */
export const errors: Readonly<Record<string, readonly Case[]>> = {
  getValue: [
    { url: "/keys/none/?strict", status: 404 },
    { url: "/keys/none/?strict&consistency=stale", status: 404 },
    { url: "/keys/none/", status: 412, headers: { "if-match": "*" } },
    { url: "/keys/a/", status: 412, headers: { "if-match": '"1"' }, before: [put("/keys/a/")] },
    { url: "/keys/", status: 400 },
    { url: `/keys/${"x".repeat(1_025)}/`, status: 414 },
    { url: "/keys/bin", status: 406, before: [BINARY] },
    { url: "/keys/a?min_revision=99999&timeout=10ms", status: 504 },
  ],
  putValue: [
    { url: "/keys/c/", status: 400, body: "{" },
    { url: "/keys/none/?version=3", status: 404, body: JSON_A },
    { url: "/keys/c/?version=99", status: 409, body: JSON_A, before: [put("/keys/c/")] },
    { ...named({ url: "/keys/none/?version=4" }), status: 404, body: JSON_A },
    { ...named({ url: "/keys/none/?version=4" }), status: 404, body: JSON_A },
    { url: "/keys/none/", status: 412, body: JSON_A, headers: { "if-match": '"1"' } },
    { url: "/keys/c/?lease=999999999", status: 404, body: JSON_A },
    { url: "/keys/c/", status: 415, body: "x", headers: { "content-type": "text/html" } },
    { url: "/keys/c/", status: 413, body: { value: "x".repeat(1_048_577) } },
    { url: "/keys/c/", status: 409, body: { value: "b" }, headers: { "idempotency-key": "c" } },
  ],
  deleteValue: [
    { url: "/keys/none/?version=3", status: 404 },
    { url: "/keys/none/", status: 412, headers: { "if-match": '"1"' } },
  ],
  getKey: [
    { url: "/v1/kv/none", status: 404 },
    { url: "/v1/kv/none?consistency=stale", status: 404 },
    { url: "/v1/kv/d?revision=99999", status: 400 },
  ],
  putKey: [
    { url: "/v1/kv/c", status: 400, body: { value: 1 } },
    { url: "/v1/kv/%ff", status: 400, body: JSON_A },
  ],
  deleteKey: [{ url: "/v1/kv/none", status: 412, headers: { "if-match": "*" } }],
  incrementKey: [
    { url: "/v1/kv/text/increment", status: 409, body: {}, before: [put("/v1/kv/text")] },
    { url: "/v1/kv/n/increment", status: 400, body: { by: "1" } },
  ],
  listKeys: [{ url: "/v1/kv?revision=99999", status: 400 }],
  deleteKeys: [
    { url: "/v1/kv", status: 400 },
    { url: `/v1/kv?prefix=${"x".repeat(4_097)}`, status: 414 },
  ],
  transact: [
    { url: "/v1/txn", status: 400, body: { more: [] } },
    { url: "/v1/txn", status: 414, body: { success: [{ get: { key: "x".repeat(4_097) } }] } },
    {
      url: "/v1/txn?fail=409",
      status: 409,
      body: { compare: [{ key: "none", exists: true }] },
      methods: ["post"],
    },
    {
      url: "/v1/txn",
      status: 404,
      body: { success: [{ put: { key: "a", value: "", lease: 999_999_999 } }] },
    },
  ],
  getKeys: [
    { url: "/v1/batch/get", status: 400, body: { keys: [""] } },
    { url: "/v1/batch/get", status: 414, body: { keys: ["x".repeat(4_097)] } },
  ],
  watch: [
    { url: "/v1/watch", status: 400 },
    { url: `/v1/watch?key=${"x".repeat(4_097)}`, status: 414 },
  ],
  grantLease: [{ url: "/v1/leases", status: 409, body: { id: 75, ttl: 60 }, before: [lease(75)] }],
  getLease: [
    { url: "/v1/leases/999999999", status: 404 },
    { url: "/v1/leases/%zz", status: 400 },
  ],
  renewLease: [{ url: "/v1/leases/999999999", status: 404 }],
  revokeLease: [
    { url: "/v1/leases/999999999", status: 404 },
    { url: "/v1/leases/1", status: 415, body: "x", headers: { "content-type": "none" } },
  ],
  takeLock: [
    { url: "/v1/locks/d", status: 409, body: { owner: "you", ttl: 60 }, before: [locked("d")] },
  ],
  getLock: [{ url: "/v1/locks/", status: 400 }],
  renewLock: [{ url: "/v1/locks/e", status: 409, body: { token: 1, ttl: 60 } }],
  releaseLock: [{ url: "/v1/locks/e", status: 400 }],
  getCluster: [{ url: "/v1/cluster?all", status: 400 }],
  getMembers: [{ url: `${MEMBERS}?all`, status: 400 }],
  addMember: [
    { url: MEMBERS, status: 400, body: { name: "a b" } },
    { url: MEMBERS, status: 409, body: learner("n4", "b"), before: [added("n4")] },
  ],
  changeMembers: [
    { url: MEMBERS, status: 400, body: {} },
    { url: MEMBERS, status: 404, body: { remove: ["nobody"] } },
    { url: MEMBERS, status: 409, body: { remove: ["n1"] } },
  ],
  getMember: [
    { url: `${MEMBERS}/nobody`, status: 404 },
    { url: `${MEMBERS}/n1/all`, status: 404 },
    { url: `${MEMBERS}/a%20b`, status: 400 },
  ],
  removeMember: [
    { url: `${MEMBERS}/nobody`, status: 404 },
    { url: `${MEMBERS}/n1`, status: 409 },
  ],
  promoteMember: [
    { url: `${MEMBERS}/nobody/promote`, status: 404 },
    { url: `${MEMBERS}/n4/promote`, status: 409, before: [added("n4")] },
  ],
  demoteMember: [{ url: `${MEMBERS}/n1/demote`, status: 409 }],
  getLeader: [{ url: "/v1/cluster/leader?target=n1", status: 400 }],
  transferLeadership: [
    { url: "/v1/cluster/leader", status: 400, body: { target: "a b" } },
    { url: "/v1/cluster/leader", status: 404, body: { target: "nobody" } },
  ],
  compact: [
    { url: "/v1/admin/compact", status: 400, body: { revision: 99_999_999 } },
    { url: "/v1/admin/compact", status: 400, body: { revision: "2" } },
    { url: "/v1/admin/compact", status: 410, body: { revision: 1 } },
  ],
  backup: [
    { url: "/v1/admin/backup?revision=1", status: 400 },
    { url: "/v1/admin/backup?min_revision=99999&timeout=10ms", status: 504 },
    { url: "/v1/admin/backup", status: 406, headers: { accept: "text/event-stream" } },
  ],
  hash: [
    { url: "/v1/admin/hash?revision=99999", status: 400 },
    { url: "/v1/admin/hash", status: 406, headers: { accept: "text/event-stream" } },
  ],
  snapshot: [
    { url: "/v1/admin/snapshot", status: 400, body: { index: 1 } },
    { url: "/v1/admin/snapshot", status: 400, headers: { "quorate-timeout-ms": "0" } },
    { url: "/v1/admin/snapshot", status: 415, body: "x", headers: { "content-type": "none" } },
  ],
};
