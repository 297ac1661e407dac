/** Counters that count each increment once: it is sent until somebody says it is done. */
import { setTimeout as sleep } from "node:timers/promises";
import { type Answer, Caller, type Ground, type Question } from "./ask.ts";
import { type Count, countProblems } from "./count-checks.ts";
import { callers, Crew, type Feat, type Workload } from "./workload.ts";

const COUNTERS = ["work/count/a", "work/count/b"];
const CLIENTS = 4;
/** Between two increments, and between two attempts of one, in milliseconds. */
const PAUSE_MS = 60;
/** More would take longer than a storm. */
const ATTEMPTS_MAX = 200;
/** Who gives up after an unknown outcome, and who asks again after an answer: in percent. */
const GIVE_UP = 3;
const AGAIN = 20;

export class CountWork implements Workload {
  readonly name = "exactly once";
  readonly #random: Ground["random"];
  readonly #reader: Caller;
  readonly #crew: Crew;
  readonly #counts: Count[] = [];
  readonly #finals = new Map<string, number>();
  readonly #unread: string[] = [];
  #names = 0;
  #givenUp = 0;
  #rescued = 0;

  constructor(ground: Ground) {
    this.#random = ground.random;
    this.#reader = new Caller(ground);
    this.#crew = new Crew(callers(ground, CLIENTS), async (caller) => {
      await this.#count(caller);
      await sleep(this.#random.between(1, 2 * PAUSE_MS));
    });
  }

  get feats(): readonly Feat[] {
    const finished = this.#counts.filter(({ value }) => value !== null).length;
    const again = this.#counts.filter((count) => count.again !== null).length;
    return [
      { name: "increments counted once", count: finished, perMinuteMin: 60 },
      { name: "increments asked again", count: again, perMinuteMin: 10 },
      // That the first attempt was done, and its answer lost, is up to chance.
      { name: "increments answered from memory", count: this.#rescued, perMinuteMin: 0 },
      { name: "increments given up", count: this.#givenUp, perMinuteMin: 0 },
    ];
  }

  async finish(): Promise<void> {
    await this.#crew.stop();
    for (const counter of COUNTERS) {
      const answer = await this.#reader.ask({ method: "GET", path: `/v1/kv/${counter}` });
      if (answer.outcome === "ok") this.#finals.set(counter, Number(answer.body["value"]));
      else this.#unread.push(`${counter} cannot be read: ${JSON.stringify(answer)}`);
    }
  }

  problems(): readonly string[] {
    const wrong = countProblems(this.#counts, this.#finals);
    return [...this.#crew.problems, ...this.#unread, ...wrong];
  }

  async #count(caller: Caller): Promise<void> {
    const counter = this.#random.pick(COUNTERS);
    const name = `increment-${++this.#names}`;
    const path = `/v1/kv/${counter}/increment`;
    const question: Question = { method: "POST", path, body: {}, idempotencyKey: name };
    const call = performance.now();
    const answer = await this.#untilAnswered(caller, question);
    const value = answer === null ? null : valueIn(answer);
    let again: Count["again"] = null;
    if (value !== null && this.#random.chance(AGAIN)) {
      caller.move();
      const second = await caller.ask(question);
      if (second.outcome === "ok") {
        again = { value: valueIn(second), isReplayed: second.isReplayed };
      }
    }
    const end = answer?.end ?? performance.now();
    this.#counts.push({ name, counter, value, again, call, end });
  }

  /** Null: it has given up. */
  async #untilAnswered(
    caller: Caller,
    question: Question,
  ): Promise<(Answer & { outcome: "ok" }) | null> {
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const answer = await caller.ask(question);
      if (answer.outcome === "ok") {
        if (answer.isReplayed) this.#rescued += 1;
        return answer;
      }
      if (answer.outcome === "refused") throw new Error(`an increment: ${answer.code}`);
      if (answer.outcome === "unknown" && this.#random.chance(GIVE_UP)) break;
      await sleep(PAUSE_MS);
    }
    this.#givenUp += 1;
    return null;
  }
}

function valueIn({ body }: Answer & { outcome: "ok" }): number {
  return Number(body["value"]);
}
