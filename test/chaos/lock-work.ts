/** Locks: contenders that write what the lock guards, and now and then sleep for too long. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Change } from "../watch/validate.ts";
import { Caller, type Fields, type Ground } from "./ask.ts";
import { type Attempt, type GuardedWrite, type Hold, lockProblems } from "./lock-checks.ts";
import { callers, Crew, type Feat, type Workload } from "./workload.ts";

const LOCKS = ["work-a", "work-b"];
/** In the names of all locks' keys. */
const PREFIX = "locks/";
const GUARDED = "work/guarded/";
const CONTENDERS = 8;
const TTL_MS = 1_000;
const WAIT_MS = 1_500;
/** Once all nodes serve, everybody gets the lock within this time, one after another. */
const LAST_WAIT_MS = 20_000;
/** Each step of taking a lock may take the server five seconds. */
const STEPS_MS = 6_000;
/** Long enough for a holder to lose the lock. */
const NAP_MS = 1_500;
const PAUSE_MS = 100;
/** What a holder does, in percent: it sleeps, it renews, it leaves without a word. */
const NAPS = 20;
const RENEWS = 30;
const LEAVES = 20;
const POLLS_MAX = 200;

/** A lock as its holder knows it. */
interface Held {
  readonly lock: string;
  readonly token: number;
  readonly key: string;
}

export class LockWork implements Workload {
  readonly name = "locks";
  readonly #random: Ground["random"];
  readonly #callers: readonly Caller[];
  readonly #watcher: Caller;
  readonly #crew: Crew;
  readonly #attempts: Attempt[] = [];
  readonly #holds: Hold[] = [];
  readonly #writes: GuardedWrite[] = [];
  readonly #unserved: string[] = [];
  #owners = 0;
  #values = 0;
  #late = 0;

  constructor(ground: Ground) {
    this.#random = ground.random;
    this.#watcher = new Caller(ground);
    this.#callers = callers(ground, CONTENDERS);
    this.#crew = new Crew(this.#callers, async (caller, at) => {
      const held = await this.#acquire(caller, { lock: lockOf(at), waitMs: WAIT_MS });
      if (held !== null) await this.#use(caller, held);
      await sleep(this.#random.between(1, PAUSE_MS));
    });
  }

  get feats(): readonly Feat[] {
    const count = (outcome: Attempt["outcome"]) =>
      this.#attempts.filter((attempt) => attempt.outcome === outcome).length;
    const done = this.#writes.filter(({ outcome }) => outcome === "ok").length;
    return [
      { name: "locks taken", count: count("ok"), perMinuteMin: 10 },
      { name: "locks refused", count: count("held"), perMinuteMin: 5 },
      { name: "guarded writes", count: done, perMinuteMin: 10 },
      { name: "guarded writes refused, too late", count: this.#late, perMinuteMin: 1 },
    ];
  }

  /** Whoever wants a lock gets it now. Then all give them back, or lose them. */
  async finish(): Promise<void> {
    await this.#crew.stop();
    const contenders = this.#callers.map(async (caller, at) => {
      const held = await this.#acquire(caller, { lock: lockOf(at), waitMs: LAST_WAIT_MS });
      if (held === null) this.#unserved.push(`contender ${at} was not served in the end`);
      else await this.#release(caller, held);
    });
    await Promise.all(contenders);
    for (let poll = 0; poll < POLLS_MAX; poll++) {
      const answer = await this.#watcher.ask({ method: "GET", path: `/v1/kv?prefix=${PREFIX}` });
      if (answer.outcome === "ok" && answer.body["count"] === 0) return;
      await sleep(PAUSE_MS);
    }
    this.#unserved.push("places in the row outlived their time");
  }

  problems(history: readonly Change[]): readonly string[] {
    const told = { attempts: this.#attempts, holds: this.#holds, writes: this.#writes };
    return [...this.#crew.problems, ...this.#unserved, ...lockProblems(told, history)];
  }

  /** Null: this client has no lock, as far as it knows. */
  async #acquire(
    caller: Caller,
    { lock, waitMs }: { readonly lock: string; readonly waitMs: number },
  ): Promise<Held | null> {
    const owner = `owner-${++this.#owners}`;
    const answer = await caller.ask({
      method: "POST",
      path: `/v1/locks/${lock}`,
      body: { owner, ttl: TTL_MS / 1_000, wait: waitMs / 1_000 },
      patienceMs: waitMs + STEPS_MS,
    });
    const key = `${PREFIX}${lock}/${owner}`;
    if (answer.outcome !== "ok") {
      const outcome = answer.outcome === "refused" ? "held" : answer.outcome;
      if ("code" in answer && answer.code !== "LOCK_HELD") throw new Error(answer.code);
      this.#attempts.push({ lock, key, outcome });
      return null;
    }
    this.#attempts.push({ lock, key, outcome: "ok" });
    const held = heldBy(lock, answer.body);
    if (held.key !== key) throw new Error(`the lock of ${key} has the key ${held.key}`);
    this.#note(held, { call: answer.end, end: answer.call + TTL_MS });
    return held;
  }

  async #use(caller: Caller, held: Held): Promise<void> {
    await this.#write(caller, held);
    if (this.#random.chance(RENEWS)) await this.#renew(caller, held);
    if (this.#random.chance(NAPS)) {
      await sleep(NAP_MS);
      if ((await this.#write(caller, held)) === "refused") this.#late += 1;
    } else await this.#write(caller, held);
    if (!this.#random.chance(LEAVES)) await this.#release(caller, held);
  }

  /** Only while the lock is held under this token. */
  async #write(caller: Caller, { lock, token, key }: Held): Promise<GuardedWrite["outcome"]> {
    const guarded = `${GUARDED}${lock}`;
    const value = `write ${++this.#values} under ${token}`;
    const body = {
      compare: [{ key, create_revision: token }],
      success: [{ put: { key: guarded, value } }],
    };
    const answer = await caller.ask({ method: "POST", path: "/v1/txn", body });
    const isDone = answer.outcome === "ok" && answer.body["succeeded"] === true;
    const outcome = answer.outcome === "ok" && !isDone ? "refused" : answer.outcome;
    const revision = isDone ? Number(answer.body["revision"]) : null;
    this.#writes.push({ lock, key: guarded, token, value, outcome, revision });
    return outcome;
  }

  async #renew(caller: Caller, held: Held): Promise<void> {
    const answer = await caller.ask({
      method: "PUT",
      path: `/v1/locks/${held.lock}`,
      body: { token: held.token, ttl: TTL_MS / 1_000 },
      patienceMs: STEPS_MS,
    });
    if (answer.outcome === "ok") {
      this.#note(held, { call: answer.end, end: answer.call + TTL_MS });
    }
  }

  /** From the moment on that it asks, it may have lost the lock. */
  async #release(caller: Caller, { lock, token }: Held): Promise<void> {
    const now = performance.now();
    for (const [at, hold] of this.#holds.entries()) {
      if (hold.lock === lock && hold.token === token && hold.end > now) {
        this.#holds[at] = { ...hold, end: now };
      }
    }
    const path = `/v1/locks/${lock}?token=${token}`;
    await caller.ask({ method: "DELETE", path, patienceMs: STEPS_MS });
  }

  /** Empty where the answer came when the time was over. */
  #note({ lock, token }: Held, { call, end }: { call: number; end: number }): void {
    if (call < end) this.#holds.push({ lock, token, call, end });
  }
}

/** Which lock a contender wants. */
function lockOf(contender: number): string {
  return LOCKS[contender % LOCKS.length] ?? "";
}

function heldBy(lock: string, body: Fields): Held {
  return { lock, token: Number(body["token"]), key: String(body["key"]) };
}
