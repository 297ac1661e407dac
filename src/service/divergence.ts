/**
 * The leader's examination of all members (D4): whether they have come to the same state by the
 * same commands, and whether the keys are still what they became, page after page, so that even
 * what nobody reads or writes is looked at. What a majority answers is right.
 */
import { bytesOf } from "../lib/bytes.ts";
import { comparable } from "../kv/checkpoints.ts";
import type { Key } from "../kv/key.ts";
import type { KvStore } from "../kv/store.ts";
import type { RaftNode } from "../node/node.ts";
import { membersOf } from "../raft/membership.ts";
import { tally } from "../raft/quorum.ts";
import type { Configuration, NodeId, Term } from "../raft/types.ts";
import type { PeerCalls } from "../transport/call.ts";
import type { DigestQuestion, DigestReply, Verdict } from "../transport/digest-codec.ts";
import { PeerCallError } from "../transport/peer-link.ts";
import type { Clock } from "./clock.ts";
import type { Examinee } from "./examinee.ts";
import { asCallError } from "./forward.ts";
import type { LeaderWatch } from "./leader-watch.ts";

export interface DivergenceDeps {
  readonly node: Pick<RaftNode<unknown>, "status">;
  readonly store: Pick<KvStore, "commands" | "revision">;
  readonly calls: Pick<PeerCalls, "digest">;
  readonly leaders: LeaderWatch;
  readonly clock: Clock;
  /** This node's own. */
  readonly examinee: Examinee;
  /** Members contradict each other, and none of them has a majority: told in each such round. */
  onStalemate(answers: readonly Answered[]): void;
}

/** What a member has answered. */
export interface Answered extends DigestReply {
  readonly id: NodeId;
}

/** Between two questions: a difference is found within some of them, and a page is soon read. */
const ROUND_MS = 250;
/** For a member to answer. It may have a page of large values to read. */
const ANSWER_TIMEOUT_MS = 1_000;

const FIRST = "" as Key;

/** Where the leader is in its questions, as long as it leads. */
interface Course {
  readonly term: Term;
  round: number;
  /** Of its state when it asked the last time: by now, the others have come as far. */
  commands: number;
  revision: number;
  /** Where the next page begins. */
  start: Key;
  verdict: Verdict | null;
}

/** Asks round after round while this node leads. */
export class DivergenceCheck {
  readonly #deps: DivergenceDeps;
  #course: Course | null = null;
  #isStopped = false;
  #stopTimer = () => {};

  constructor(deps: DivergenceDeps) {
    this.#deps = deps;
  }

  /** Begins. Returns how to stop. */
  start(): () => void {
    this.#pause();
    return () => {
      this.#isStopped = true;
      this.#stopTimer();
    };
  }

  #pause(): void {
    this.#stopTimer = this.#deps.clock.after(ROUND_MS, () => void this.#round());
  }

  async #round(): Promise<void> {
    const course = this.#follow();
    if (course !== null) await this.#examine(course);
    if (!this.#isStopped) this.#pause();
  }

  /** The course of this term; null: this node does not lead, or has just begun to. */
  #follow(): Course | null {
    const { leaders, store } = this.#deps;
    const { term, leader } = leaders.now;
    const { commands, revision } = store;
    const before = this.#course;
    if (leader !== leaders.self) {
      this.#course = null;
      return null;
    }
    if (before?.term === term) return before;
    this.#course = { term, round: 0, commands, revision, start: FIRST, verdict: null };
    return null;
  }

  async #examine(course: Course): Promise<void> {
    const { examinee, node, store, calls } = this.#deps;
    const { configuration } = node.status();
    // Learners do not decide what is right, but may be wrong.
    const others = membersOf(configuration).filter((id) => id !== this.#deps.leaders.self);
    if (others.length === 0) return;
    const { term, verdict, revision } = course;
    course.round += 1;
    const { round } = course;
    const place = comparable(course.commands, store.commands);
    const question = { term, round, place, start: bytesOf(course.start), revision, verdict };
    course.commands = store.commands;
    course.revision = store.revision;
    const [own, ...theirs] = await Promise.all([
      examinee.answer(question),
      ...others.map((id) => ask(calls, id, question)),
    ]);
    const answers = [{ ...own, id: this.#deps.leaders.self }, ...theirs];
    const chain = agreed(configuration, answers, "chain");
    const page = agreed(configuration, answers, "page");
    course.verdict = { round, chain, page };
    // Whoever leads reads on where its own page ends: if that is wrong, it will not lead for long.
    if (own.page !== null) course.start = own.next ?? FIRST;
    const isStalemate =
      (chain === null && isContradicted(answers, "chain")) ||
      (page === null && isContradicted(answers, "page"));
    if (isStalemate) this.#deps.onStalemate(answers);
  }
}

/** Who does not answer says nothing. */
async function ask(
  calls: Pick<PeerCalls, "digest">,
  id: NodeId,
  question: DigestQuestion,
): Promise<Answered> {
  const reply = await calls.digest(id, question, ANSWER_TIMEOUT_MS).catch(asCallError);
  return reply instanceof PeerCallError ? { id, chain: null, page: null } : { id, ...reply };
}

/** What a majority of all voters says, whoever does not answer; null: there is no such thing. */
export function agreed(
  configuration: Configuration,
  answers: readonly Answered[],
  of: keyof DigestReply,
): string | null {
  for (const { [of]: value } of answers) {
    const same = answers.filter((other) => other[of] === value);
    const votes = new Map(same.map(({ id }) => [id, true]));
    if (value !== null && tally(configuration, votes) === "won") return value;
  }
  return null;
}

function isContradicted(answers: readonly Answered[], of: keyof DigestReply): boolean {
  return new Set(answers.map((answer) => answer[of]).filter((value) => value !== null)).size > 1;
}
