/** Linearizable reads: when this node's own state is new enough to answer one. */
import type { KvResult } from "../kv/store.ts";
import type { RaftNode, ReadProof } from "../node/node.ts";
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
 * that acknowledged it: with what vouches for that, of which `wanted` will do. Rejects with a
 * ServiceError, at the deadline at the latest.
 */
export function caughtUp(
  deps: ReaderDeps,
  deadline: Millis,
  wanted: ReadProof = "quorum",
): Promise<ReadProof> {
  return new Promise((resolve, reject) => {
    const end: End = (result) => {
      if (result instanceof ServiceError) reject(result);
      else resolve(result);
    };
    new PendingRead(deps, wanted, end).start(deadline);
  });
}

type End = (result: ReadProof | ServiceError) => void;

/** One read, until the state is new enough. It changes nothing, so it may try again at will. */
class PendingRead {
  readonly #deps: ReaderDeps;
  readonly #wanted: ReadProof;
  readonly #end: End;
  #isEnded = false;
  #stopTimer = () => {};
  #stopWaiting = () => {};

  constructor(deps: ReaderDeps, wanted: ReadProof, end: End) {
    this.#deps = deps;
    this.#wanted = wanted;
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
    else if (leader === self) node.readIndex(this.#onIndex, this.#wanted);
    else this.#stopWaiting = readCalls.readIndex(this.#onIndex, this.#wanted);
  }

  #waitForLeader(retryMs: number | null): void {
    const { leaders, clock } = this.#deps;
    const retry = retryMs === null ? null : { clock, afterMs: retryMs };
    this.#stopWaiting = leaders.next(() => this.#attempt(), retry);
  }

  readonly #onIndex = (index: Index | null, proof: ReadProof): void => {
    if (this.#isEnded) return;
    if (index === null) return this.#waitForLeader(RETRY_MS);
    this.#stopWaiting = this.#deps.node.whenReached(index, () => this.#finish(proof));
  };

  #onDeadline(): void {
    this.#stopWaiting();
    const { leader } = this.#deps.leaders;
    const error =
      leader === null
        ? new ServiceError("NO_LEADER", "no leader is known: an election is under way")
        : new ServiceError("READ_TIMEOUT", `the leader ${leader} did not confirm the read in time`);
    this.#finish(error);
  }

  #finish(result: ReadProof | ServiceError): void {
    this.#isEnded = true;
    this.#stopTimer();
    this.#end(result);
  }
}
