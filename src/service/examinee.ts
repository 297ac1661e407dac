/**
 * What a node says of its own state when it is examined, and how it learns that it is wrong: the
 * leader tells everybody what the majority has answered to the question before (D4).
 */
import { byteString } from "../lib/bytes.ts";
import { digestOfPage } from "../kv/digest-page.ts";
import type { Key } from "../kv/key.ts";
import type { Page, Slices } from "../kv/range.ts";
import type { KvStore } from "../kv/store.ts";
import type { Millis, Term } from "../raft/types.ts";
import type { DigestQuestion, DigestReply, Verdict } from "../transport/digest-codec.ts";
import type { Clock } from "./clock.ts";
import { ServiceError } from "./errors.ts";
import { SlicedReads } from "./sliced-reads.ts";

export interface ExamineeDeps {
  readonly store: Pick<KvStore, "checkRevision" | "digestAt" | "readPage">;
  readonly clock: Clock;
  /** This node's. */
  term(): Term;
}

/** Digests, and where the keys go on behind the page; null: it was the last, or was not read. */
export interface Answer extends DigestReply {
  readonly next: Key | null;
}

/** What was answered to which question. */
interface Answered {
  readonly question: DigestQuestion;
  readonly answer: Answer;
}

/** A page takes about a millisecond of the event loop, and there are four a second. */
const PAGE_LIMITS = { entries: 1_024, bytes: 256 * 1024, isKeysOnly: false };
/** Who needs longer for a page is not asked for it any more. */
const PAGE_TIMEOUT_MS = 1_000;

const NOTHING: Answer = { chain: null, page: null, next: null };

/** One for each node. */
export class Examinee {
  readonly #deps: ExamineeDeps;
  readonly #reads: SlicedReads;
  #last: Answered | null = null;
  #agreed: number | null = null;
  #isWrong = false;
  #onWrong: (where: string) => void = () => {};

  constructor(deps: ExamineeDeps) {
    this.#deps = deps;
    this.#reads = new SlicedReads(deps.clock);
  }

  /** After how many commands a majority had this node's state, at last; null: not known yet. */
  get agreed(): number | null {
    return this.#agreed;
  }

  /** Calls `run` once, when this node turns out to be wrong, with where that shows: a clause. */
  whenWrong(run: (where: string) => void): void {
    this.#onWrong = run;
  }

  /** It is known to be wrong: from now on it answers nobody. */
  retire(): void {
    this.#isWrong = true;
  }

  /** Answers a leader. One that leads no more gets no answer, nor does any once this is wrong. */
  async answer(question: DigestQuestion): Promise<Answer> {
    if (question.term < this.#deps.term()) return NOTHING;
    if (question.verdict !== null) this.#hear(question, question.verdict);
    if (this.#isWrong) return NOTHING;
    const chain = this.#deps.store.digestAt(question.place);
    const page = await this.#page(question);
    const answer = {
      chain,
      page: page === null ? null : digestOfPage(page),
      next: page?.next ?? null,
    };
    this.#last = { question, answer };
    return answer;
  }

  /** A verdict is about this node's own answer to the same question, or means nothing to it. */
  #hear({ term }: DigestQuestion, verdict: Verdict): void {
    if (this.#last === null || this.#isWrong) return;
    const { question, answer } = this.#last;
    if (question.term !== term || question.round !== verdict.round) return;
    if (areOpposed(answer.chain, verdict.chain)) {
      this.#end(`after ${question.place} commands`);
    } else if (areOpposed(answer.page, verdict.page)) {
      this.#end(`in the keys at revision ${question.revision}`);
    } else if (answer.chain !== null && verdict.chain !== null) {
      this.#agreed = question.place;
    }
  }

  #end(where: string): void {
    this.retire();
    this.#onWrong(where);
  }

  /** Null: this node has not got so far, has forgotten the revision, or has too much to do. */
  async #page({ start, revision }: DigestQuestion): Promise<Page | null> {
    const { store, clock } = this.#deps;
    const deadline = (clock.now() + PAGE_TIMEOUT_MS) as Millis;
    try {
      return await this.#reads.run(slicesOf(store, byteString(start) as Key, revision), deadline);
    } catch (error) {
      if (error instanceof ServiceError) return null;
      throw error;
    }
  }
}

/** Until the first slice runs, the revision may have been forgotten. */
function* slicesOf(
  store: Pick<KvStore, "checkRevision" | "readPage">,
  start: Key,
  revision: number,
): Slices<Page | null> {
  if (store.checkRevision(revision) !== "ok") return null;
  const range = { start, end: null, isReverse: false, since: 0, grouping: null };
  return yield* store.readPage({ range, revision, limits: PAGE_LIMITS });
}

/** What is missing is neither agreement nor contradiction. */
function areOpposed(own: string | null, others: string | null): boolean {
  return own !== null && others !== null && own !== others;
}
