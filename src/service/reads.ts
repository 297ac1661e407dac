/** Linearizable reads: when this node's own state is new enough to answer one. */
import type { KvResult } from "../kv/store.ts";
import type { RaftNode } from "../node/node.ts";
import type { Index, Millis } from "../raft/types.ts";
import type { Clock } from "./clock.ts";
import { ServiceError } from "./errors.ts";
import type { LeaderWatch } from "./leader-watch.ts";
import type { ReadCalls } from "./read-calls.ts";
import { RETRY_MS } from "./writes.ts";

export interface ReaderDeps {
  readonly node: Pick<RaftNode<KvResult>, "readIndex" | "whenReached">;
  readonly leaders: LeaderWatch;
  readonly readCalls: Pick<ReadCalls, "readIndex">;
  readonly clock: Clock;
}

/**
 * Resolves when everything that was acknowledged before the call is applied here, whoever it was
 * that acknowledged it. Rejects with a ServiceError, at the deadline at the latest.
 */
export function caughtUp(deps: ReaderDeps, deadline: Millis): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = (error: ServiceError | null) => (error === null ? resolve() : reject(error));
    new PendingRead(deps, end).start(deadline);
  });
}

/** One read, until the state is new enough. It changes nothing, so it may try again at will. */
class PendingRead {
  readonly #deps: ReaderDeps;
  readonly #end: (error: ServiceError | null) => void;
  #isEnded = false;
  #stopTimer = () => {};
  #stopWaiting = () => {};

  constructor(deps: ReaderDeps, end: (error: ServiceError | null) => void) {
    this.#deps = deps;
    this.#end = end;
  }

  start(deadline: Millis): void {
    const { clock } = this.#deps;
    this.#stopTimer = clock.after(deadline - clock.now(), () => this.#onDeadline());
    this.#attempt();
  }

  #attempt(): void {
    const { leaders, node, readCalls } = this.#deps;
    const { leader, self } = leaders;
    if (leader === null) this.#waitForLeader(null);
    else if (leader === self) node.readIndex((index) => this.#onIndex(index));
    else this.#stopWaiting = readCalls.readIndex((index) => this.#onIndex(index));
  }

  #waitForLeader(retryMs: number | null): void {
    const { leaders, clock } = this.#deps;
    const retry = retryMs === null ? null : { clock, afterMs: retryMs };
    this.#stopWaiting = leaders.next(() => this.#attempt(), retry);
  }

  #onIndex(index: Index | null): void {
    if (this.#isEnded) return;
    if (index === null) return this.#waitForLeader(RETRY_MS);
    this.#stopWaiting = this.#deps.node.whenReached(index, () => this.#finish(null));
  }

  #onDeadline(): void {
    this.#stopWaiting();
    const { leader } = this.#deps.leaders;
    const error =
      leader === null
        ? new ServiceError("NO_LEADER", "no leader is known: an election is under way")
        : new ServiceError("READ_TIMEOUT", `the leader ${leader} did not confirm the read in time`);
    this.#finish(error);
  }

  #finish(error: ServiceError | null): void {
    this.#isEnded = true;
    this.#stopTimer();
    this.#end(error);
  }
}
