/** Leases: keys that are attached to one live as long as somebody renews it. */
import type { Caller, CallOptions } from "./caller.ts";
import { secondsOf, wholeNumber } from "./checks.ts";
import { QuorateError } from "./error.ts";
import { keepRenewed, sureUntil } from "./renewal.ts";

/** What the cluster says of a lease. */
export interface LeaseState {
  readonly id: number;
  readonly ttlMs: number;
  /** In about how many milliseconds it ends if nobody renews it. */
  readonly leftMs: number;
}

/** With the keys that are attached to it. */
export interface LeaseKeys extends LeaseState {
  /** As text; those that are none are in base64. */
  readonly keys: readonly string[];
}

interface WireLease {
  readonly id: number;
  readonly ttl_ms: number;
  readonly deadline_ms: number;
  readonly keys?: readonly (string | { readonly key: string })[];
  /** Where the next keys begin; null: these were the last. */
  readonly cursor?: string | null;
}

/** A lease that was granted. */
export class Lease {
  readonly id: number;
  readonly ttlMs: number;
  readonly #caller: Caller;
  /** When its time began at the latest, by `performance.now()`; null: somebody else knows. */
  #since: number | null;

  /** `since`: before it was asked for, by `performance.now()`; null: somebody else asked for it. */
  constructor(
    caller: Caller,
    { id, ttlMs, since }: { id: number; ttlMs: number; since: number | null },
  ) {
    this.#caller = caller;
    this.id = id;
    this.ttlMs = ttlMs;
    this.#since = since;
  }

  /** Lets its time begin anew. Rejects with LEASE_NOT_FOUND where it is over. */
  async renew(options: CallOptions = {}): Promise<LeaseState> {
    const since = performance.now();
    const call = { kind: "same", method: "PUT", path: pathOf(this.id) } as const;
    const wire = await this.#caller.ask<WireLease>(call, options);
    this.#since = Math.max(this.#since ?? since, since);
    return stateOf(wire);
  }

  /**
   * Renews it until the signal is aborted, and then resolves. Rejects with LEASE_NOT_FOUND when it
   * is over, and with LEASE_LOST when it may be, before the cluster ends it. One that was found is
   * renewed at once, as nobody here knows when its time began, and only then that is promised.
   */
  async keepAlive(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    const term = { since: this.#since ?? performance.now(), ttlMs: this.ttlMs };
    let until = sureUntil(term);
    try {
      await keepRenewed(term, {
        renew: (options) => this.renew(options),
        onRenewed: (since) => (until = sureUntil({ ...term, since })),
        isDue: this.#since === null,
        signal,
      });
    } catch (error) {
      if (performance.now() < until) throw error;
      const facts = { code: "LEASE_LOST", outcome: "unknown", retryable: false } as const;
      const text = `lease ${this.id} could not be renewed in time`;
      throw new QuorateError(text, { ...facts, cause: error });
    }
  }

  /** Ends it and deletes its keys. Rejects with LEASE_NOT_FOUND where it is over already. */
  async revoke(options: CallOptions = {}): Promise<{ deleted: number; revision: number }> {
    const call = { kind: "write", method: "DELETE", path: pathOf(this.id) } as const;
    const answer = await this.#caller.ask<{ deleted: number; revision: number }>(call, options);
    const { deleted, revision } = answer;
    return { deleted, revision };
  }

  /** As the cluster sees it. Rejects with LEASE_NOT_FOUND where it is over. */
  async get(options: CallOptions = {}): Promise<LeaseKeys> {
    const keys: string[] = [];
    for (let next = ""; ; ) {
      const path = `${pathOf(this.id)}?keys=true${next}`;
      const call = { kind: "read", method: "GET", path } as const;
      const wire = await this.#caller.ask<WireLease>(call, options);
      for (const key of wire.keys ?? []) keys.push(typeof key === "string" ? key : key.key);
      if (typeof wire.cursor !== "string") return { ...stateOf(wire), keys };
      next = `&cursor=${wire.cursor}`;
    }
  }
}

/** All leases of a cluster. */
export class Leases {
  readonly #caller: Caller;

  constructor(caller: Caller) {
    this.#caller = caller;
  }

  /** A new one, which ends after so many milliseconds unless it is renewed. */
  async grant(ttlMs: number, options: CallOptions = {}): Promise<Lease> {
    const since = performance.now();
    const body = JSON.stringify({ ttl: secondsOf("ttlMs", ttlMs) });
    const headers = { "content-type": "application/json" };
    const path = "/v1/leases";
    const call = { kind: "write", method: "POST", path, headers, body } as const;
    const wire = await this.#caller.ask<WireLease>(call, options);
    return new Lease(this.#caller, { id: wire.id, ttlMs: wire.ttl_ms, since });
  }

  /** One that somebody else was granted. Rejects with LEASE_NOT_FOUND where it is over. */
  async find(id: number, options: CallOptions = {}): Promise<Lease> {
    wholeNumber("id", id, 1);
    const call = { kind: "read", method: "GET", path: pathOf(id) } as const;
    const { ttl_ms: ttlMs } = await this.#caller.ask<WireLease>(call, options);
    return new Lease(this.#caller, { id, ttlMs, since: null });
  }
}

function stateOf({ id, ttl_ms: ttlMs, deadline_ms: leftMs }: WireLease): LeaseState {
  return { id, ttlMs, leftMs };
}

function pathOf(id: number): string {
  return `/v1/leases/${id}`;
}
