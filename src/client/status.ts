/** How nodes say they are doing. */
import type { Caller, CallOptions } from "./caller.ts";
import { QuorateError } from "./error.ts";

/** What a node says of itself; it asks nobody else for that. */
export interface NodeStatus {
  readonly name: string;
  readonly clientUrl: string;
  readonly version: string;
  /** Of Raft, such as `leader` or `follower`. */
  readonly role: string;
  readonly term: number;
  /** Whom it takes for the leader; null: nobody. */
  readonly leader: string | null;
  readonly leaderUrl: string | null;
  /** How long ago it heard of a leader; null: it leads, or it never did. */
  readonly lastContactMs: number | null;
  /** It has lost something, and counts for nothing until the others have made it good. */
  readonly inDoubt: boolean;
  readonly diskHangs: boolean;
  readonly revision: number;
  readonly compactRevision: number;
  readonly keys: number;
  readonly keyBytes: number;
  readonly historyBytes: number;
  /** By which the nodes compare their states. */
  readonly digest: {
    /** How many of them have made the state. */
    readonly commands: number;
    /** Over all of them, and what came of each. */
    readonly chain: string;
    /** How many of them a majority has confirmed; null: it is not known yet. */
    readonly agreed: number | null;
  };
  readonly log: {
    readonly first: number;
    readonly last: number;
    readonly committed: number;
    readonly applied: number;
    readonly snapshot: number;
    readonly bytes: number;
  };
  readonly scrub: { readonly rounds: number; readonly damages: number };
  readonly voters: readonly string[];
  readonly learners: readonly string[];
  /** The cluster has it as a member no more. */
  readonly removed: boolean;
  /** Its state differed from the majority's, so it answers no requests for data. */
  readonly quarantined: boolean;
  /** How long its event loop was held, since the start. */
  readonly loopDelayMs: { readonly p50: number; readonly p99: number; readonly max: number };
  readonly ready: boolean;
}

/** What came of asking one endpoint: a status or an error. */
export type EndpointStatus =
  | { readonly endpoint: string; readonly status: NodeStatus; readonly error: null }
  | { readonly endpoint: string; readonly status: null; readonly error: QuorateError };

export async function statusOf(
  caller: Caller,
  endpoint: string,
  options: CallOptions,
): Promise<NodeStatus> {
  const question = { method: "GET", path: "/v1/status" } as const;
  return camelCased(await caller.askOne<object>(endpoint, question, options)) as NodeStatus;
}

/** Of all endpoints, in their order. */
export function statusOfAll(caller: Caller, options: CallOptions): Promise<EndpointStatus[]> {
  const ask = async (endpoint: string): Promise<EndpointStatus> => {
    try {
      return { endpoint, status: await statusOf(caller, endpoint, options), error: null };
    } catch (error) {
      if (!(error instanceof QuorateError)) throw error;
      return { endpoint, status: null, error };
    }
  };
  return Promise.all(caller.endpoints.map(ask));
}

/** The same, with names such as `last_contact_ms` as they are written here. */
export function camelCased(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(camelCased);
  if (typeof value !== "object" || value === null) return value;
  const renamed = Object.entries(value).map(([name, inner]) => [
    name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase()),
    camelCased(inner),
  ]);
  return Object.fromEntries(renamed) as unknown;
}
