/** Who the members are, and changes of that, asked for at any node. */
import type { EntryFate, InForce, RaftNode } from "../node/node.ts";
import { isDone, lastStep, type MemberChange } from "../raft/change.ts";
import { isJoint, memberOf } from "../raft/membership.ts";
import type { ChangeRefusal, ChangeTaken } from "../raft/reconfigure.ts";
import type { TransferRefusal } from "../raft/transfer.ts";
import type { Millis, NodeId, Position } from "../raft/types.ts";
import type { PeerCalls } from "../transport/call.ts";
import type { MemberQuestion, MemberReply } from "../transport/member-codec.ts";
import { PeerCallError } from "../transport/peer-link.ts";
import { acceptMembers } from "./answers.ts";
import type { Clock } from "./clock.ts";
import { type ClusterView, clusterView } from "./cluster-view.ts";
import { ServiceError } from "./errors.ts";
import type { LeaderWatch } from "./leader-watch.ts";
import { asMemberError } from "./member-errors.ts";
import { RETRY_MS } from "./writes.ts";

export interface MembersDeps {
  readonly node: Pick<
    RaftNode<unknown>,
    "change" | "transfer" | "awaitCommit" | "inForce" | "status" | "fateOf" | "whenReached"
  >;
  readonly leaders: LeaderWatch;
  readonly calls: Pick<PeerCalls, "members">;
  readonly clock: Clock;
  /** For a leader to say whether it takes a change: it does not wait for anybody. */
  readonly callTimeoutMs: number;
  /** Where clients find a node; null: not known. */
  readonly clientUrlOf: (id: NodeId) => string | null;
}

/** An election timeout is such a part of the time for a call: by then everybody was heard. */
const NEW_LEADER_PARTS = 4;

/** Wishes that are granted together, or not at all. */
export type MemberChanges = readonly MemberChange[];

type Answered<T> = { readonly done: T } | "again";

/** How the waiting for a change ends. `untold`: this node is gone, and knows nothing of it. */
type Ending = "through" | "untold" | Exclude<EntryFate, "committed">;

/** Changes of the members. Promises reject with ServiceError, at the deadline at the latest. */
export class Members {
  readonly #deps: MembersDeps;
  readonly #waiting = new Set<() => void>();
  #isGone = false;
  #leader: NodeId | null = null;
  #leaderSince: Millis;

  constructor(deps: MembersDeps) {
    const { leaders, clock } = deps;
    this.#deps = deps;
    this.#leaderSince = clock.now();
    leaders.listen(() => {
      if (leaders.leader !== this.#leader) this.#leaderSince = clock.now();
      this.#leader = leaders.leader;
    });
  }

  /** To be called whenever another configuration came into force, or one was committed. */
  update(): void {
    for (const look of this.#waiting) look();
  }

  /** The cluster has removed this node: it learns nothing more of what it asked for. */
  depart(): void {
    this.#isGone = true;
    this.update();
  }

  /** The cluster, as far as this node knows. */
  view(): ClusterView {
    const { node, clientUrlOf } = this.#deps;
    return clusterView({ inForce: this.#inForce(), status: node.status(), clientUrlOf });
  }

  /** Whether everything is as the changes want it, as far as this node knows. */
  areDone(changes: MemberChanges): boolean {
    const { configuration, isCommitted } = this.#inForce();
    return isCommitted && changes.every((change) => isDone(configuration, change));
  }

  /**
   * Makes all the changes or none, in one step, and resolves when they are through. A learner that
   * is to become a voter does so later, by itself. What is lost with its leader was never made: so
   * it is asked for again.
   */
  async change(changes: MemberChanges, deadline: Millis): Promise<void> {
    let ending: Ending = "lost";
    while (ending === "lost") {
      const begun = await this.#begin(changes, deadline);
      ending = await this.#ended(begun, changes, deadline);
    }
    if (ending === "through") return;
    const text =
      ending === "untold"
        ? "this node was removed from the cluster before it was told what became of the change"
        : "this node missed what became of the change, catching up by a snapshot";
    throw new ServiceError("COMMIT_TIMEOUT", `${text}: ask who is a member`);
  }

  /** Which entry begins the change, in the log of whoever leads. */
  #begin(changes: MemberChanges, deadline: Millis): Promise<Position> {
    return this.#ask({ type: "change", changes }, deadline, (reply) => {
      if (reply.type !== "changed") return "again";
      const { result } = reply;
      const isForOthers =
        "refused" in result && (result.refused === "behind" || result.refused === "unsafe");
      return isForOthers && this.#hasNewLeader() ? "again" : answeredChange(result);
    });
  }

  /**
   * Hands leadership over to `target`, or to whoever is furthest, and resolves with who leads then.
   */
  async transfer(target: NodeId | null, deadline: Millis): Promise<NodeId> {
    const to = await this.#ask({ type: "transfer", target }, deadline, (reply) => {
      if (reply.type !== "transferred") return "again";
      if (reply.result === "no_target") {
        if (target !== null) this.#mustKnow(target);
        if (this.#hasNewLeader()) return "again";
      }
      return answeredTransfer(reply.result, target);
    });
    const { leaders } = this.#deps;
    return this.#until(
      () => (leaders.leader === to ? to : null),
      deadline,
      `leadership was not taken over by ${to} in time: ask who leads, and try again`,
    );
  }

  /** What such a one refuses for the others' sake, it may take soon: it has yet to hear them. */
  #hasNewLeader(): boolean {
    const { clock, callTimeoutMs } = this.#deps;
    return clock.now() - this.#leaderSince < callTimeoutMs / NEW_LEADER_PARTS;
  }

  /** Asks whoever leads, until somebody who does has answered. */
  async #ask<T>(
    question: MemberQuestion,
    deadline: Millis,
    read: (reply: MemberReply) => Answered<T>,
  ): Promise<T> {
    const { leaders, clock } = this.#deps;
    for (;;) {
      if (this.#isGone) {
        const text = "this node was removed from the cluster, and nobody took it: ask another node";
        throw new ServiceError("MEMBER_REMOVED", text);
      }
      const { leader } = leaders;
      const reply = leader === null ? null : await this.#askLeader(leader, question, deadline);
      const answered = reply === null ? "again" : read(reply);
      if (answered !== "again") return answered.done;
      const leftMs = deadline - clock.now();
      if (leftMs <= 0) {
        throw new ServiceError("NO_LEADER", "no leader took it in time: nothing was changed");
      }
      const afterMs = Math.min(RETRY_MS, leftMs);
      await new Promise<void>((resolve) => leaders.next(resolve, { clock, afterMs }));
    }
  }

  /** Null: it was certainly not asked. */
  async #askLeader(
    leader: NodeId,
    question: MemberQuestion,
    deadline: Millis,
  ): Promise<MemberReply | null> {
    const { node, leaders, calls, clock, callTimeoutMs } = this.#deps;
    if (leader === leaders.self) return acceptMembers(node, { from: leader, question });
    try {
      const leftMs = Math.max(1, deadline - clock.now());
      return await calls.members(leader, question, Math.min(callTimeoutMs, leftMs));
    } catch (error) {
      if (!(error instanceof PeerCallError)) throw error;
      if (!error.sent) return null;
      const text = `the leader was asked, and did not answer: ${error.message}`;
      throw new ServiceError("FORWARD_FAILED", text, { cause: error });
    }
  }

  /** Waits until the change that begins with this entry has ended, as this node sees it. */
  async #ended(begun: Position, changes: MemberChanges, deadline: Millis): Promise<Ending> {
    const { node, leaders } = this.#deps;
    const isOwnRemoval = changes.every(({ type, id }) => type === "remove" && id === leaders.self);
    let fate: EntryFate | null = null;
    const find = (): Ending | null => {
      // Once it is known: later on, a snapshot may stand for the place of the entry.
      fate ??= node.fateOf(begun);
      if (this.#isGone && isOwnRemoval) return "through";
      if (fate === "lost" || fate === "unknown") return fate;
      // A change that is committed is through before the next one, of this node's removal, begins.
      if (this.#isGone) return fate === "committed" ? "through" : "untold";
      return fate === "committed" && this.#isQuiet() ? "through" : null;
    };
    const text =
      "the change was begun, and was not through in time: it may be yet; ask who is a member";
    const stop = node.whenReached(begun.index, () => this.update());
    try {
      return await this.#until(find, deadline, text);
    } finally {
      stop();
    }
  }

  /** No change is under way. */
  #isQuiet(): boolean {
    const { configuration, isCommitted } = this.#inForce();
    return isCommitted && !isJoint(configuration);
  }

  /** Whoever is removed is told of the first half of that, and never of the second. */
  #inForce(): InForce {
    const { configuration, index, isCommitted } = this.#deps.node.inForce();
    if (!this.#isGone) return { configuration, index, isCommitted };
    return { configuration: lastStep(configuration), index, isCommitted: true };
  }

  #mustKnow(id: NodeId): void {
    if (memberOf(this.#inForce().configuration, id) !== undefined) return;
    throw new ServiceError("MEMBER_NOT_FOUND", `${id} is no member`);
  }

  /** Resolves with what is found, as soon as that is something. */
  #until<T>(find: () => T | null, deadline: Millis, otherwise: string): Promise<T> {
    const { clock, leaders } = this.#deps;
    return new Promise((resolve, reject) => {
      const stop = () => {
        stopTimer();
        stopListening();
        this.#waiting.delete(look);
      };
      const look = () => {
        const found = find();
        if (found === null) return;
        stop();
        resolve(found);
      };
      const stopListening = leaders.listen(look);
      const stopTimer = clock.after(Math.max(0, deadline - clock.now()), () => {
        stop();
        reject(new ServiceError("COMMIT_TIMEOUT", otherwise));
      });
      this.#waiting.add(look);
      look();
    });
  }
}

/** Who does not lead, or leads since a moment only, is asked again. */
function answeredChange(result: ChangeTaken | ChangeRefusal): Answered<Position> {
  if (!("refused" in result)) return { done: result };
  if (result.refused === "not_leader" || result.refused === "not_ready") return "again";
  throw asMemberError(result);
}

function answeredTransfer(
  result: { readonly target: NodeId } | TransferRefusal,
  target: NodeId | null,
): Answered<NodeId> {
  if (typeof result !== "string") return { done: result.target };
  if (result === "not_leader") return "again";
  if (result === "in_progress") {
    const text = "leadership is being handed over to another node: ask again when that is done";
    throw new ServiceError("CONFIG_CHANGE_IN_PROGRESS", text);
  }
  const text =
    target === null
      ? "no other voter is here and up to date: start them, or wait until they have caught up"
      : `${target} cannot lead now: it is no voter, does not answer, or is not up to date`;
  throw new ServiceError("UNSAFE_CHANGE", text);
}
