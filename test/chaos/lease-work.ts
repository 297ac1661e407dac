/** Leases: some that are renewed and then left alone, and some that never are. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Change } from "../watch/validate.ts";
import { type Answer, Caller, type Ground } from "./ask.ts";
import { type LeaseLife, leaseProblems } from "./lease-checks.ts";
import { callers, Crew, type Feat, type Interval, type Workload } from "./workload.ts";

const PREFIX = "work/lease/";
/** Far above those that the store chooses. A client knows the lease that it may have. */
const FIRST_ID = 1_000_000_000;
const RENEWERS = 4;
const LEAVERS = 2;
/** Time to live, in milliseconds: of what is renewed, and of what is not. */
const RENEWED_TTL_MS = 2_000;
const LEFT_TTL_MS = 8_000;
/** How long a lease is renewed, and the time between two renewals, in milliseconds. */
const RENEWED_FOR_MS = [1_000, 10_000] as const;
const RENEW_MS = [150, 500] as const;
const LOOK_MS = 250;
/** Beyond what it has left, once all nodes serve. */
const LATE_MS = 3_000;

/** A lease while it lives. */
interface Life extends LeaseLife {
  readonly renewals: Interval[];
  readonly sightings: (Interval & { readonly isThere: boolean })[];
  readonly left: number[];
}

export class LeaseWork implements Workload {
  readonly name = "leases";
  readonly #random: Ground["random"];
  readonly #watcher: Caller;
  readonly #crew: Crew;
  readonly #lives: Life[] = [];
  readonly #late: string[] = [];
  /** Nobody knows whether these were granted, or whether their keys were put. */
  readonly #unsure: number[] = [];
  #nextId = FIRST_ID;

  constructor(ground: Ground) {
    this.#random = ground.random;
    this.#watcher = new Caller(ground);
    this.#crew = new Crew(callers(ground, RENEWERS + LEAVERS), (caller, at) =>
      this.#hold(caller, at < RENEWERS),
    );
  }

  get feats(): readonly Feat[] {
    const renewals = this.#lives.reduce((sum, life) => sum + life.renewals.length - 1, 0);
    const looks = this.#lives.reduce((sum, life) => sum + life.sightings.length, 0);
    const ended = this.#lives.filter(isGone).length;
    return [
      { name: "leases ended", count: ended, perMinuteMin: 5 },
      { name: "lease renewals", count: renewals, perMinuteMin: 20 },
      { name: "lease sightings", count: looks, perMinuteMin: 60 },
    ];
  }

  /** Leases that nobody renews end now, each in its time. */
  async finish(): Promise<void> {
    await this.#crew.stop();
    const unsure = this.#unsure.map((id) => lifeOf(id, LEFT_TTL_MS));
    const left = [...this.#lives, ...unsure].filter((life) => !isGone(life));
    for (const life of left) await this.#untilGone(this.#watcher, life);
  }

  problems(history: readonly Change[]): readonly string[] {
    return [...this.#crew.problems, ...this.#late, ...leaseProblems(this.#lives, history)];
  }

  /** One lease from its grant to its end, or until the run ends. */
  async #hold(caller: Caller, isRenewed: boolean): Promise<void> {
    const life = await this.#grant(caller, isRenewed ? RENEWED_TTL_MS : LEFT_TTL_MS);
    if (life === null) return sleep(LOOK_MS);
    if (!(await attach(caller, life))) {
      this.#unsure.push(life.id);
      return;
    }
    this.#lives.push(life);
    const until = performance.now() + (isRenewed ? this.#random.between(...RENEWED_FOR_MS) : 0);
    while (performance.now() < until && !isGone(life) && !this.#crew.isStopping) {
      await renew(caller, life);
      await look(caller, life);
      await sleep(this.#random.between(...RENEW_MS));
    }
    while (!isGone(life) && !this.#crew.isStopping) {
      if (!isRenewed) await ask(caller, life);
      await look(caller, life);
      await sleep(LOOK_MS);
    }
  }

  async #grant(caller: Caller, ttlMs: number): Promise<Life | null> {
    const id = this.#nextId++;
    const body = { id, ttl: ttlMs / 1_000 };
    const answer = await caller.ask({ method: "POST", path: "/v1/leases", body });
    if (answer.outcome === "unknown") this.#unsure.push(id);
    if (answer.outcome !== "ok") return null;
    const life = lifeOf(id, ttlMs);
    life.renewals.push({ call: answer.call, end: answer.end });
    return life;
  }

  /** It is late where it is still there after all the time that it says it has left. */
  async #untilGone(caller: Caller, life: Life): Promise<void> {
    let bound = performance.now() + life.ttlMs + LATE_MS;
    while (!isGone(life)) {
      const leftMs = await ask(caller, life);
      await look(caller, life);
      if (leftMs !== null) bound = Math.min(bound, performance.now() + leftMs + LATE_MS);
      if (performance.now() > bound) {
        this.#late.push(`lease ${life.id} did not end in its time`);
        return;
      }
      await sleep(LOOK_MS);
    }
  }
}

function lifeOf(id: number, ttlMs: number): Life {
  const keys = ["a", "b"].map((name) => `${PREFIX}${id}/${name}`);
  return { id, ttlMs, keys, renewals: [], sightings: [], left: [] };
}

/** False: nobody knows whether its keys were put, so nothing can be said of them. */
async function attach(caller: Caller, { id, keys }: Life): Promise<boolean> {
  const success = keys.map((key) => ({ put: { key, value: "held", lease: id } }));
  const answer = await caller.ask({ method: "POST", path: "/v1/txn", body: { success } });
  return answer.outcome === "ok";
}

function isGone({ sightings }: LeaseLife): boolean {
  return sightings.at(-1)?.isThere === false;
}

async function renew(caller: Caller, life: Life): Promise<void> {
  const answer = await caller.ask({ method: "PUT", path: `/v1/leases/${life.id}` });
  const { call, end } = answer;
  if (answer.outcome === "ok") life.renewals.push({ call, end });
  if (isNotFound(answer)) life.sightings.push({ call, end, isThere: false });
}

/** What the lease has left, in milliseconds; null: it is gone, or nobody says. */
async function ask(caller: Caller, life: Life): Promise<number | null> {
  const answer = await caller.ask({ method: "GET", path: `/v1/leases/${life.id}` });
  const { call, end } = answer;
  if (isNotFound(answer)) life.sightings.push({ call, end, isThere: false });
  if (answer.outcome !== "ok") return null;
  life.sightings.push({ call, end, isThere: true });
  const leftMs = Number(answer.body["deadline_ms"]);
  life.left.push(leftMs);
  return leftMs;
}

/** Whether all its keys are there; some without others would be half an end. */
async function look(caller: Caller, life: Life): Promise<void> {
  const path = `/v1/kv?prefix=${PREFIX}${life.id}/`;
  const answer = await caller.ask({ method: "GET", path });
  if (answer.outcome !== "ok") return;
  const { call, end } = answer;
  const items = answer.body["items"] as readonly unknown[];
  if (items.length !== 0 && items.length !== life.keys.length) {
    throw new Error(`${items.length} of ${life.keys.length} keys of lease ${life.id} are there`);
  }
  life.sightings.push({ call, end, isThere: items.length > 0 });
}

function isNotFound(answer: Answer): boolean {
  return answer.outcome === "refused" && answer.code === "LEASE_NOT_FOUND";
}
