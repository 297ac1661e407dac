/**
 * From a command to what became of it, on any node: to the leader, into the log, and back from this
 * node's own copy of the state. The one rule is honesty: a write is called "not applied" only where
 * that is certain for ever (X3).
 */
import type { KvResult } from "../kv/store.ts";
import type { RaftNode } from "../node/node.ts";
import type { Outcome } from "../node/waiters.ts";
import { memberOf } from "../raft/membership.ts";
import type { Refusal } from "../raft/message.ts";
import type { Millis, Position } from "../raft/types.ts";
import type { Clock } from "./clock.ts";
import { ServiceError } from "./errors.ts";
import type { Forwarded, Forwarder } from "./forward.ts";
import type { LeaderWatch } from "./leader-watch.ts";

/** What may be under way at once: beyond it, waiting would only take memory. */
export interface WriteLimits {
  readonly writesMax: number;
  readonly bytesMax: number;
}

export interface WriterDeps {
  readonly node: Pick<RaftNode<KvResult>, "submit" | "whenApplied" | "inForce">;
  readonly leaders: LeaderWatch;
  readonly forwarder: Pick<Forwarder, "forward">;
  readonly clock: Clock;
  readonly limits: WriteLimits;
}

/** After a refusal, unless the leader changes before: it may be that nobody has noticed yet. */
export const RETRY_MS = 25;

/** Writes of this node's clients. */
export class Writer {
  readonly #deps: WriterDeps;
  readonly #pending = new Set<PendingWrite>();
  #bytes = 0;
  #isGone = false;

  constructor(deps: WriterDeps) {
    this.#deps = deps;
  }

  /** How many writes are under way. */
  get pending(): number {
    return this.#pending.size;
  }

  /**
   * Has the command applied, once. Rejects with a ServiceError, at the deadline at the latest, that
   * says whether the command may have been or may yet be applied.
   */
  write(command: Uint8Array, deadline: Millis): Promise<KvResult> {
    const { writesMax, bytesMax } = this.#deps.limits;
    if (this.#pending.size >= writesMax || this.#bytes + command.length > bytesMax) {
      const text = "this node has more writes under way than it can hold";
      return Promise.reject(new ServiceError("OVERLOADED", text));
    }
    this.#bytes += command.length;
    return new Promise((resolve, reject) => {
      const end = (result: KvResult | ServiceError) => {
        this.#pending.delete(write);
        this.#bytes -= command.length;
        if (result instanceof ServiceError) reject(result);
        else resolve(result);
      };
      const write = new PendingWrite(this.#deps, command, end);
      this.#pending.add(write);
      if (this.#isGone) write.depart();
      else write.start(deadline);
    });
  }

  /** The cluster has removed this node: ends all that is under way, and asks nobody any more. */
  depart(): void {
    this.#isGone = true;
    for (const write of this.#pending) write.depart();
  }
}

/**
 * - `waiting`: it is in nobody's hands.
 * - `asked`: a leader was asked to take it, and has not answered.
 * - `taken`: it is in a leader's log, and will be applied or replaced by another entry.
 */
type Stage = "waiting" | "asked" | "taken" | "ended";

/** One write, from the request to the answer. */
class PendingWrite {
  readonly #deps: WriterDeps;
  readonly #command: Uint8Array;
  readonly #end: (result: KvResult | ServiceError) => void;
  #stage: Stage = "waiting";
  /** Nobody is to be asked any more. */
  #isGone = false;
  #stopTimer = () => {};
  /** Ends the waiting for a leader, or for the entry to be applied. */
  #stopWaiting = () => {};
  /** Takes back what was asked. False: it is too late for that. */
  #withdraw = () => false;

  constructor(
    deps: WriterDeps,
    command: Uint8Array,
    end: (result: KvResult | ServiceError) => void,
  ) {
    this.#deps = deps;
    this.#command = command;
    this.#end = end;
  }

  start(deadline: Millis): void {
    const { clock } = this.#deps;
    this.#stopTimer = clock.after(deadline - clock.now(), () => this.#onDeadline());
    this.#attempt();
  }

  /** An answer that is on its way still says more than nothing, and comes soon. */
  depart(): void {
    this.#isGone = true;
    if (this.#stage === "asked") return;
    this.#stopWaiting();
    if (this.#stage === "waiting") this.#attempt();
    else this.#finishUntold();
  }

  /** Nobody has the command, so it may be offered to whoever leads now. */
  #attempt(): void {
    if (this.#isGone) {
      const text = "this node was removed from the cluster, and did not pass the write on";
      return this.#finish(new ServiceError("MEMBER_REMOVED", text));
    }
    const { leaders, node, forwarder } = this.#deps;
    if (leaders.leader === null) return this.#waitForLeader(null);
    if (leaders.leader === leaders.self && !this.#willSeeMore()) {
      return this.#waitForLeader(RETRY_MS);
    }
    this.#stage = "asked";
    if (leaders.leader === leaders.self) {
      this.#withdraw = () => false;
      node.submit([this.#command], (answer) => this.#onAnswer(answer));
    } else {
      this.#withdraw = forwarder.forward(this.#command, (reply) => this.#onForwarded(reply));
    }
  }

  /** A leader that leaves sees nothing of what comes after the last step of that. */
  #willSeeMore(): boolean {
    const { node, leaders } = this.#deps;
    return memberOf(node.inForce().configuration, leaders.self) !== undefined;
  }

  #waitForLeader(retryMs: number | null): void {
    if (this.#isGone) return this.#attempt();
    const { leaders, clock } = this.#deps;
    this.#stage = "waiting";
    const retry = retryMs === null ? null : { clock, afterMs: retryMs };
    this.#stopWaiting = leaders.next(() => this.#attempt(), retry);
  }

  #onForwarded(reply: Forwarded): void {
    if (reply.type === "answered") return this.#onAnswer(reply.answer);
    if (this.#stage === "ended") return;
    if (!reply.sent) return this.#waitForLeader(RETRY_MS);
    const text = `the write was sent to the leader, which did not answer: ${reply.error.message}`;
    this.#finish(new ServiceError("FORWARD_FAILED", text, { cause: reply.error }));
  }

  #onAnswer(answer: Position | Refusal): void {
    if (this.#stage === "ended") return;
    if (answer === "not_leader") return this.#waitForLeader(RETRY_MS);
    if (answer === "busy") {
      const text = "the leader has more writes under way than it can take";
      return this.#finish(new ServiceError("OVERLOADED", text));
    }
    this.#stage = "taken";
    const cancel = this.#deps.node.whenApplied(answer, (outcome) => this.#onOutcome(outcome));
    // It may have been told at once, and be on its way again.
    if (this.#stage !== "taken") return;
    this.#stopWaiting = cancel;
    if (!this.#isGone) return;
    cancel();
    this.#finishUntold();
  }

  #finishUntold(): void {
    const text = "this node was removed from the cluster before it was told what became of it";
    this.#finish(new ServiceError("COMMIT_TIMEOUT", text));
  }

  /** A leader that stepped down does not end the wait: its successor may commit the entry. */
  #onOutcome(outcome: Outcome<KvResult>): void {
    if (this.#stage === "ended") return;
    switch (outcome.kind) {
      case "applied":
        return this.#finish(outcome.result);
      case "lost":
        // Another entry is committed in its place: it never will be, so it may be offered again.
        return this.#attempt();
      case "unknown": {
        const text = "this node missed what became of the write, catching up by a snapshot";
        return this.#finish(new ServiceError("COMMIT_TIMEOUT", text));
      }
    }
  }

  #onDeadline(): void {
    const isNowhere = this.#stage === "waiting" || (this.#stage === "asked" && this.#withdraw());
    this.#stopWaiting();
    if (isNowhere) {
      const { leader } = this.#deps.leaders;
      const text =
        leader === null ? "no leader is known" : `the leader ${leader} cannot be reached`;
      return this.#finish(new ServiceError("NO_LEADER", `${text}: the write was not applied`));
    }
    const text = "the write was not confirmed in time: it may have been applied, or may yet be";
    this.#finish(new ServiceError("COMMIT_TIMEOUT", text));
  }

  #finish(result: KvResult | ServiceError): void {
    this.#stage = "ended";
    this.#stopTimer();
    this.#end(result);
  }
}
