/** One request of a client, and strictly what its answer says of its outcome. */
import { type Agent, request } from "undici";

/** What a client wants done. */
export interface Wish {
  readonly op: "get" | "put" | "delete";
  readonly key: string;
  /** Of a put. */
  readonly value?: string;
  /** The write is only wanted at this version of the key; 0: it must not exist. */
  readonly ifVersion?: number;
}

/**
 * What became of it. `ok`: done. `refused`: the condition did not hold, and this is what the key is
 * instead. `failed`: certainly not done, now and later. `unknown`: perhaps done, perhaps later.
 */
export type Ending =
  | {
      readonly outcome: "ok";
      readonly version: number;
      /** Of the last change of the key, or of this one; null: the key is not there. */
      readonly revision: number | null;
      readonly storeRevision: number;
      readonly value: string | null;
      readonly deleted: number;
    }
  | {
      readonly outcome: "refused";
      readonly version: number;
      readonly revision: number | null;
      readonly storeRevision: number;
    }
  | { readonly outcome: "failed" | "unknown"; readonly why: string };

/** What the server is given; the client waits a little longer. */
const TIMEOUT_MS = 1_000;
const PATIENCE_MS = 1_300;

/** Asks a node. Never rejects, but for answers that no node may give. */
export async function exchange(agent: Agent, url: string, wish: Wish): Promise<Ending> {
  const { op, key, value, ifVersion } = wish;
  const query = new URLSearchParams({ timeout: `${TIMEOUT_MS}ms` });
  if (ifVersion !== undefined) query.set("version", String(ifVersion));
  try {
    const response = await request(`${url}/keys/${encodeURIComponent(key)}?${query.toString()}`, {
      method: op === "get" ? "GET" : op === "put" ? "PUT" : "DELETE",
      body: value === undefined ? null : JSON.stringify({ value }),
      headers: value === undefined ? {} : { "content-type": "application/json" },
      dispatcher: agent,
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
    const text = await response.body.text();
    const headers = response.headers as Record<string, string | undefined>;
    if (response.statusCode === 200) return done(op, headers, text);
    return failure(response.statusCode, text);
  } catch (error) {
    if (error instanceof UnexpectedAnswer) throw error;
    return withoutAnswer(error);
  }
}

/** An answer that breaks the contract of the API. */
export class UnexpectedAnswer extends Error {
  override readonly name = "UnexpectedAnswer";
}

function done(op: Wish["op"], headers: Record<string, string | undefined>, text: string): Ending {
  const version = number(headers, "quorate-version");
  const isThere = version > 0;
  const body = parse(text);
  if (typeof body["value"] !== "string") throw new UnexpectedAnswer(`200 with ${text}`);
  return {
    outcome: "ok",
    version,
    revision: isThere || op !== "get" ? number(headers, "quorate-revision") : null,
    storeRevision: number(headers, "quorate-store-revision"),
    value: isThere ? body["value"] : null,
    deleted: op === "delete" ? number(headers, "quorate-deleted") : 0,
  };
}

function failure(status: number, text: string): Ending {
  const { code, outcome, details } = parse(text);
  const why = `${status} ${String(code)}`;
  if (outcome === "unknown") return { outcome, why };
  if (outcome !== "not_applied") throw new UnexpectedAnswer(`${status} with ${text}`);
  if (code !== "VERSION_MISMATCH" && code !== "KEY_NOT_FOUND") return { outcome: "failed", why };
  const { version, mod_revision, revision } = details as Record<string, unknown>;
  if (
    typeof version !== "number" ||
    typeof mod_revision !== "number" ||
    typeof revision !== "number"
  ) {
    throw new UnexpectedAnswer(`${status} with ${text}`);
  }
  return {
    outcome: "refused",
    version,
    revision: version === 0 ? null : mod_revision,
    storeRevision: revision,
  };
}

/** Only where no connection was made is it certain that the node knows nothing. */
function withoutAnswer(error: unknown): Ending {
  const { code, name } = error as { code?: string | number; name?: string };
  const why = typeof code === "string" ? code : (name ?? String(error));
  return { outcome: code === "ECONNREFUSED" ? "failed" : "unknown", why };
}

function number(headers: Record<string, string | undefined>, name: string): number {
  const value = Number(headers[name]);
  if (Number.isSafeInteger(value)) return value;
  throw new UnexpectedAnswer(`${name} is ${headers[name]}`);
}

function parse(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch (cause) {
    throw new UnexpectedAnswer(`not JSON: ${text}`, { cause });
  }
}
