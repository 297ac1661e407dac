/** A bank: transfers in transactions, and readers that count the money in every possible way. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Change } from "../watch/validate.ts";
import { type Answer, type Caller, type Fields, type Ground } from "./ask.ts";
import {
  type Account,
  type Bank,
  bankProblems,
  type Reading,
  type Transfer,
} from "./bank-checks.ts";
import { callers, Crew, type Feat, type Workload } from "./workload.ts";

const ACCOUNTS = 8;
const OPENING = 100;
const BANK: Bank = { prefix: "work/bank/", accounts: ACCOUNTS, total: ACCOUNTS * OPENING };
const KEYS = Array.from({ length: ACCOUNTS }, (_, at) => `${BANK.prefix}${at}`);
const AMOUNT_MAX = 20;
const TELLERS = 3;
const READERS = 2;
/** Between two steps of a client, in milliseconds. */
const PAUSE_MS = 60;
/** Fewer than there are accounts. */
const PAGE = 3;

interface Item {
  readonly key: string;
  readonly value: string;
  readonly mod_revision: number;
}

/** A part of the accounts, and the revision that they were told of. */
interface Page {
  readonly items: readonly Item[];
  readonly revision: number;
  readonly cursor: string | null;
}

export class BankWork implements Workload {
  readonly name = "bank";
  readonly #random: Ground["random"];
  readonly #crew: Crew;
  readonly #readings: Reading[] = [];
  readonly #transfers: Transfer[] = [];
  #names = 0;
  #isOpen = false;

  constructor(ground: Ground) {
    this.#random = ground.random;
    this.#crew = new Crew(callers(ground, TELLERS + READERS), async (caller, at) => {
      if (!this.#isOpen) await this.#open(caller);
      else if (at < TELLERS) await this.#transfer(caller);
      else await this.#read(caller);
      await sleep(this.#random.between(1, 2 * PAUSE_MS));
    });
  }

  get feats(): readonly Feat[] {
    const done = this.#transfers.filter(({ outcome }) => outcome === "ok").length;
    const past = this.#readings.filter(({ isOfThePast }) => isOfThePast).length;
    return [
      { name: "transfers", count: done, perMinuteMin: 60 },
      { name: "sums checked", count: this.#readings.length, perMinuteMin: 60 },
      { name: "sums of the past checked", count: past, perMinuteMin: 10 },
    ];
  }

  finish(): Promise<void> {
    return this.#crew.stop();
  }

  problems(history: readonly Change[]): readonly string[] {
    const told = { readings: this.#readings, transfers: this.#transfers };
    return [...this.#crew.problems, ...bankProblems(BANK, told, history)];
  }

  /** Puts the same into all accounts. Whoever comes later finds that it was done. */
  async #open(caller: Caller): Promise<void> {
    const value = JSON.stringify({ balance: OPENING, by: "the opening" } satisfies Account);
    const compare = [{ key: KEYS[0], exists: false }];
    const body = { compare, success: KEYS.map((key) => ({ put: { key, value } })) };
    const answer = await caller.ask({ method: "POST", path: "/v1/txn", body });
    if (answer.outcome === "ok") this.#isOpen = true;
  }

  /** Between any two accounts, unless another transfer comes between. */
  async #transfer(caller: Caller): Promise<void> {
    const from = this.#random.below(ACCOUNTS);
    const to = (from + this.#random.between(1, ACCOUNTS - 1)) % ACCOUNTS;
    const keys = [KEYS[from], KEYS[to]];
    const found = await caller.ask({ method: "POST", path: "/v1/batch/get", body: { keys } });
    if (found.outcome !== "ok") return;
    const [payer, payee] = pageIn(found.body).items;
    if (payer === undefined || payee === undefined) throw new Error("an account is gone");
    const name = `transfer ${++this.#names}`;
    const amount = this.#random.between(1, AMOUNT_MAX);
    const put = ({ key, value }: Item, more: number) => {
      const { balance } = JSON.parse(value) as Account;
      return { put: { key, value: JSON.stringify({ balance: balance + more, by: name }) } };
    };
    const body = {
      compare: [payer, payee].map(({ key, mod_revision }) => ({ key, mod_revision })),
      success: [put(payer, -amount), put(payee, amount)],
    };
    const answer = await caller.ask({ method: "POST", path: "/v1/txn", body });
    this.#transfers.push(transferOf(name, answer));
  }

  async #read(caller: Caller): Promise<void> {
    const past = this.#random.chance(30) ? this.#readings.at(-this.#random.between(1, 100)) : null;
    const revision = past?.revision ?? null;
    const how = this.#random.pick(["list", "pages", "batch"]);
    const call = performance.now();
    const page = await this.#pages(caller, { how, revision });
    if (page === null) return;
    const values = new Map(page.items.map(({ key, value }) => [key, value]));
    this.#readings.push({
      how: revision === null ? how : `${how} of the past`,
      revision: page.revision,
      isOfThePast: revision !== null,
      values,
      call,
      end: performance.now(),
    });
  }

  /** All accounts; null: they could not be read. `revision` null: as they are now. */
  async #pages(
    caller: Caller,
    { how, revision }: { readonly how: string; readonly revision: number | null },
  ): Promise<Omit<Page, "cursor"> | null> {
    const at = revision === null ? "" : `revision=${revision}`;
    if (how === "batch") {
      const path = `/v1/batch/get?${at}`;
      const answer = await caller.ask({ method: "POST", path, body: { keys: KEYS } });
      return answer.outcome === "ok" ? pageIn(answer.body) : null;
    }
    const list = `/v1/kv?prefix=${BANK.prefix}&limit=${how === "list" ? ACCOUNTS : PAGE}&${at}`;
    const items: Item[] = [];
    let cursor: string | null = null;
    let told = 0;
    do {
      const more: string = cursor === null ? "" : `&cursor=${encodeURIComponent(cursor)}`;
      const answer: Answer = await caller.ask({ method: "GET", path: `${list}${more}` });
      if (answer.outcome !== "ok") return null;
      const page = pageIn(answer.body);
      if (cursor !== null && page.revision !== told) {
        throw new Error(`a cursor went from revision ${told} to ${page.revision}`);
      }
      items.push(...page.items);
      told = page.revision;
      cursor = page.cursor;
    } while (cursor !== null && items.length <= ACCOUNTS);
    return { items, revision: told };
  }
}

function pageIn(body: Fields): Page {
  return { cursor: null, ...(body as object) } as Page;
}

function transferOf(name: string, answer: Answer): Transfer {
  const { call, end } = answer;
  if (answer.outcome !== "ok") return { name, outcome: answer.outcome, revision: null, call, end };
  const { succeeded, revision } = answer.body;
  if (succeeded !== true) return { name, outcome: "refused", revision: null, call, end };
  return { name, outcome: "ok", revision: Number(revision), call, end };
}
