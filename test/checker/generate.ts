/** Histories whose truth is known: clients of a store that is linearizable by construction. */
import type { Prng } from "../../src/lib/random.ts";
import type { AnyOperation } from "./history.ts";
import { TrueStore } from "./true-store.ts";
import { drawWish, type Wish } from "./wishes.ts";

export interface Shape {
  readonly operations: number;
  readonly clients: number;
  /** Keys that transactions and ranges may join, and how many there are in each of these. */
  readonly groups: number;
  readonly keys: number;
  /** Of all operations, in percent: those on several keys. */
  readonly joinedPercent: number;
  /** Of all writes, in percent. */
  readonly unknownPercent: number;
}

/** Leases end no earlier than so long after the call of the put, and not much later. */
const LEASE_MIN = 15;
const LEASE_MAX = 60;
/** What has no answer may take effect long after its client has gone on under another name. */
const LATE_MAX = 100;
const FRACTIONS = 1_000_000;

interface Draft {
  readonly asked: Pick<AnyOperation, "client" | "call" | "return">;
  readonly wish: Wish;
  readonly effect: number;
  /** Nobody is told. */
  readonly isUnknown: boolean;
  /** It was never done. */
  readonly isLost: boolean;
}

/** Each operation takes effect at one moment between its call and its return. */
export function generate(random: Prng, shape: Shape): AnyOperation[] {
  const drafts = draw(random, shape);
  const store = new TrueStore();
  const done = new Map<Draft, AnyOperation>();
  for (const draft of [...drafts].sort((a, b) => a.effect - b.effect)) {
    const answer = draft.isLost ? null : store.carryOut(draft.wish);
    const ending = draft.isUnknown || answer === null ? { outcome: "unknown" } : answer;
    done.set(draft, { ...draft.asked, ...draft.wish, ...ending } as AnyOperation);
  }
  return drafts.map((draft) => done.get(draft) as AnyOperation);
}

function draw(random: Prng, shape: Shape): Draft[] {
  const clocks = Array.from({ length: shape.clients }, () => random.below(10));
  return Array.from({ length: shape.operations }, (_, at) => {
    const client = random.below(shape.clients);
    const call = (clocks[client] ?? 0) + random.below(8);
    const end = call + 1 + random.below(20);
    clocks[client] = end + 1;
    const wish = drawWish(random, shape, at);
    const isRead = wish.op === "get" || wish.op === "range";
    const isUnknown = !isRead && random.chance(shape.unknownPercent);
    const name = isUnknown ? `c${client}/${at}` : `c${client}`;
    const asked = { client: name, call, return: isUnknown ? null : end };
    const effect = momentIn(random, call, isUnknown ? end + LATE_MAX : end);
    const draft = { asked, wish, effect, isUnknown, isLost: isUnknown && random.chance(50) };
    return [draft, ...leasesOf(wish).map((lease) => drawExpire(random, lease, call))];
  }).flat();
}

function drawExpire(random: Prng, lease: string, from: number): Draft {
  const call = from + LEASE_MIN;
  return {
    asked: { client: `lease ${lease}`, call, return: null },
    wish: { op: "expire", in: { lease } },
    effect: momentIn(random, call, from + LEASE_MAX),
    isUnknown: true,
    isLost: random.chance(20),
  };
}

function leasesOf(wish: Wish): readonly string[] {
  if (wish.op === "put") return wish.in.lease === undefined ? [] : [wish.in.lease];
  if (wish.op !== "txn") return [];
  const leases = wish.in.success.map((step) => (step.op === "put" ? step.lease : undefined));
  return [...new Set(leases.filter((lease) => lease !== undefined))];
}

function momentIn(random: Prng, from: number, to: number): number {
  return from + ((to - from) * random.below(FRACTIONS + 1)) / FRACTIONS;
}
