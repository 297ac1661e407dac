/** What a golden cluster holds, as any node of it tells: the same in every later version. */
import { z } from "zod";
import { call } from "../integration/client.ts";

/** A request with an `Idempotency-Key`, which is answered again as it was the first time. */
export const REPEATED = { key: "golden-visit", path: "/v1/kv/visits/increment", by: 5 } as const;

const contents = z.strictObject({
  /** Which version of the program has made the directories. */
  version: z.string(),
  revision: z.number(),
  compact_revision: z.number(),
  /** Of `/v1/admin/hash` at that revision. */
  hash: z.string(),
  /** What is known of each key; `ends`: by itself, though not how soon. */
  keys: z.array(z.record(z.string(), z.unknown())),
  /** What a key was at a revision of the past. */
  past: z.strictObject({ key: z.string(), revision: z.number(), value: z.string() }),
  leases: z.array(
    z.strictObject({ id: z.number(), ttl_ms: z.number(), keys: z.array(z.string()) }),
  ),
  members: z.array(
    z.strictObject({
      name: z.string(),
      role: z.string(),
      peer_url: z.string(),
      incarnation: z.string(),
      since: z.number(),
    }),
  ),
});

export type Contents = z.output<typeof contents>;

const expected = contents.extend({
  /**
   * Over so many commands and what came of each: nodes of all versions must have the same, as they
   * compare it with each other.
   */
  digest: z.object({ commands: z.number(), chain: z.string() }),
});

/** What `expected.json` says. */
export type Expected = z.output<typeof expected>;

/** Throws where `text` is no such file. */
export function readExpected(text: string): Expected {
  return expected.parse(JSON.parse(text));
}

/** The same of a node at `url` that is not about to change. */
export async function expectedOf(url: string, past: Contents["past"]): Promise<Expected> {
  const { digest } = await ask(url, "/v1/status");
  return expected.parse({ ...(await contentsOf(url, past)), digest });
}

/** Reads what the node at `url` has, which must not change meanwhile. */
export async function contentsOf(url: string, past: Contents["past"]): Promise<Contents> {
  const version = await ask(url, "/version");
  const status = await ask(url, "/v1/status");
  const { hash, revision } = await ask(url, "/v1/admin/hash?consistency=stale");
  // The values are in the hash.
  const list = await ask(url, "/v1/kv?prefix=&consistency=stale&keys_only");
  const keys = (list["items"] as Contents["keys"]).map(({ ttl_ms: ttlMs, ...known }) => {
    return ttlMs === undefined ? known : { ...known, ends: true };
  });
  const earlier = await ask(url, `/v1/kv/${past.key}?revision=${past.revision}`);
  const ids = new Set(keys.flatMap(({ lease }) => (typeof lease === "number" ? [lease] : [])));
  const leases = await Promise.all(
    [...ids].map(async (id) => {
      const { ttl_ms, keys: names } = await ask(url, `/v1/leases/${id}?keys`);
      return { id, ttl_ms, keys: names };
    }),
  );
  const { members } = await ask(url, "/v1/cluster");
  return contents.parse({
    version: version["version"],
    revision,
    compact_revision: status["compact_revision"],
    hash,
    keys,
    past: { ...past, value: earlier["value"] },
    leases,
    members: (members as Contents["members"]).map((member) => {
      const { name, role, peer_url, incarnation, since } = member;
      return { name, role, peer_url, incarnation, since };
    }),
  });
}

async function ask(url: string, path: string): Promise<Readonly<Record<string, unknown>>> {
  const { status, body } = await call(url + path);
  if (status !== 200) throw new Error(`${path}: ${status} ${JSON.stringify(body)}`);
  return body;
}
