/** Leases of clients: renewed many at a time, and ended by the leader when their time is over. */
import { must } from "../lib/assert.ts";
import { encodeCommand, LEASES_MAX } from "../kv/command.ts";
import type { Lease } from "../kv/leases.ts";
import type { KvStore } from "../kv/store.ts";
import type { RaftNode } from "../node/node.ts";
import type { Millis } from "../raft/types.ts";
import type { Clock } from "./clock.ts";
import { ServiceError } from "./errors.ts";
import type { LeaderWatch } from "./leader-watch.ts";
import type { Writer } from "./writes.ts";

export interface RenewalsDeps {
  readonly writer: Pick<Writer, "write">;
  readonly clock: Clock;
}

/** What comes within so many milliseconds shares one entry of the log. */
const GATHER_MS = 10;

interface Waiting {
  readonly id: number;
  readonly deadline: Millis;
  readonly resolve: (lease: Lease | null) => void;
  readonly reject: (error: unknown) => void;
  readonly stopTimer: () => void;
}

/** Renewals that come to this node. Each is told only when it is in the log for good (X8). */
export class Renewals {
  readonly #deps: RenewalsDeps;
  #waiting: Waiting[] = [];

  constructor(deps: RenewalsDeps) {
    this.#deps = deps;
  }

  /** Null: there is no such lease. Rejects with ServiceError as every write does. */
  renew(id: number, deadline: Millis): Promise<Lease | null> {
    const { clock } = this.#deps;
    return new Promise((resolve, reject) => {
      const stopTimer = clock.after(deadline - clock.now(), () => {
        reject(new ServiceError("COMMIT_TIMEOUT", "the renewal was not confirmed in time"));
      });
      this.#waiting.push({ id, deadline, resolve, reject, stopTimer });
      if (this.#waiting.length === LEASES_MAX) void this.#send();
      if (this.#waiting.length === 1) clock.after(GATHER_MS, () => void this.#send());
    });
  }

  async #send(): Promise<void> {
    const all = this.#waiting;
    if (all.length === 0) return;
    this.#waiting = [];
    const command = encodeCommand({ type: "renew", ids: all.map(({ id }) => id) });
    // The impatient are told by timers of their own.
    const deadline = Math.max(...all.map((each) => each.deadline)) as Millis;
    try {
      const result = await this.#deps.writer.write(command, deadline);
      const leases = must(result.ok ? (result.leases ?? null) : null, "renewals are not refused");
      all.forEach(({ resolve }, at) => resolve(leases[at] ?? null));
    } catch (error) {
      for (const { reject } of all) reject(error);
    } finally {
      for (const { stopTimer } of all) stopTimer();
    }
  }
}

export interface ExpiryDeps {
  readonly node: Pick<RaftNode<unknown>, "submit" | "status">;
  readonly store: KvStore;
  readonly leaders: LeaderWatch;
  readonly clock: Clock;
}

/** How often to look, and so how late a lease may end. */
const LOOK_MS = 50;
/** In one entry, which is applied in a few milliseconds. Others follow at the next look. */
const EXPIRE_MAX = 1_000;
/**
 * While there are leases, the log says what time it is at least so often: what the next leader
 * does not know has passed, it would give away anew.
 */
const TICK_MS = 500;

/** Begins to end leases whose deadline has come, while this node leads. Returns how to stop. */
export function startExpiry({ node, store, leaders, clock }: ExpiryDeps): () => void {
  const look = () => {
    stopTimer = clock.after(LOOK_MS, look);
    if (leaders.leader !== leaders.self || store.leases === 0) return;
    const { clusterTime } = node.status();
    const ids = store.leasesDue(clusterTime, EXPIRE_MAX);
    // Whatever becomes of it, the next look decides anew: to end one twice changes nothing.
    if (ids.length > 0) node.submit([encodeCommand({ type: "expire", ids })], () => {});
    else if (clusterTime >= store.clusterTime + TICK_MS) {
      node.submit([encodeCommand({ type: "clock" })], () => {});
    }
  };
  let stopTimer = clock.after(LOOK_MS, look);
  return () => stopTimer();
}
