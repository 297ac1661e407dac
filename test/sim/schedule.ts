/**
 * What goes wrong in a run, as data: drawn from the seed before it begins, so that a part of it can
 * be left out and the rest stays as it was.
 */
import type { Prng } from "../../src/lib/random.ts";
import type { SwarmOptions } from "./options.ts";

/** What becomes of a node that dies. */
export interface Death {
  /** `power`: with it goes everything that was not synced. */
  readonly how: "kill" | "power";
  readonly downMs: number;
  /** While it is down its disk is lost, or a bit of it flips. */
  readonly loss: "disk" | "bit" | null;
}

/** Links are given as `from>to`; nodes by their number. */
export type Trouble =
  | ({ readonly kind: "death"; readonly node: number } & Death)
  | { readonly kind: "blackout"; readonly downMs: readonly number[] }
  | { readonly kind: "pause"; readonly node: number; readonly ms: number }
  | { readonly kind: "hang"; readonly node: number; readonly ms: number }
  | { readonly kind: "fail"; readonly node: number; readonly of: "write" | "read" }
  | { readonly kind: "partition"; readonly links: readonly string[] }
  /** What is sent meanwhile arrives afterwards. */
  | { readonly kind: "clog"; readonly link: string; readonly ms: number }
  | ({ readonly kind: "change" } & AskedChange)
  | ({ readonly kind: "transfer" } & AskedTransfer);

/** What an operator wants with the members. `pick` chooses among those with whom it makes sense. */
export interface MemberWish {
  readonly type: "join" | "add" | "promote" | "demote" | "remove" | "move" | "replace all";
  readonly pick: number;
}

export interface AskedChange {
  /** The node that is asked; null: whoever leads. */
  readonly asked: number | null;
  readonly wishes: readonly MemberWish[];
  readonly after: Aftermath | null;
}

/** What happens to a leader so long after it has begun what it was asked for. */
export interface Aftermath {
  readonly afterMs: number;
  readonly trouble: LeaderTrouble;
}

export interface AskedTransfer {
  readonly asked: number | null;
  /** Null: to whoever is furthest. */
  readonly to: number | null;
  readonly after: Aftermath | null;
}

/** At a moment, or some time after a leader, the so-many-th, was elected. */
export type When = { readonly at: number } | { readonly leader: number; readonly afterMs: number };

/** What happens to such a leader: like a trouble, whoever it is. */
export type LeaderTrouble =
  | ({ readonly kind: "leader dies" } & Death)
  | { readonly kind: "leader changes members"; readonly wishes: readonly MemberWish[] }
  /** It keeps the others whose place from its own is listed, and loses all the rest for a while. */
  | { readonly kind: "leader is cut off"; readonly with: readonly number[]; readonly ms: number };

export type Scheduled =
  | { readonly when: { readonly at: number }; readonly trouble: Trouble }
  | { readonly when: Exclude<When, { at: number }>; readonly trouble: LeaderTrouble };

/** So many leaders are looked at. */
export const LEADERS_MAX = 200;

/** How many names there are. */
export function namesOf({ nodes, spares }: SwarmOptions): number {
  return nodes + spares;
}

export function drawSchedule(random: Prng, options: SwarmOptions): Scheduled[] {
  return [...drawTroubles(random, options), ...drawLeaders(random, options)];
}

function drawTroubles(random: Prng, options: SwarmOptions): Scheduled[] {
  const { everyMs, lastsMs } = options.trouble;
  const schedule: Scheduled[] = [];
  if (everyMs === 0) return schedule;
  for (
    let at = random.between(1, 2 * everyMs);
    at < lastsMs;
    at += random.between(1, 2 * everyMs)
  ) {
    for (const { after, trouble } of draw(random, options)) {
      schedule.push({ when: { at: at + after }, trouble });
    }
  }
  return schedule;
}

interface Drawn {
  readonly after: number;
  readonly trouble: Trouble;
}

/** One thing, or several that belong together, or none. */
function draw(random: Prng, options: SwarmOptions): Drawn[] {
  const { crashes, powerCuts, pauses, partitions, clogs, hungDisks, failingDisks } =
    options.trouble;
  const node = random.below(namesOf(options));
  const one = (trouble: Trouble) => [{ after: 0, trouble }];
  switch (random.below(8)) {
    case 0:
      return crashes ? one({ kind: "death", node, ...drawDeath(random, "kill", options) }) : [];
    case 1:
      return powerCuts ? one({ kind: "death", node, ...drawDeath(random, "power", options) }) : [];
    case 2: {
      // All machines lose power at once: only what is on disk counts.
      if (!powerCuts || !random.chance(20)) return [];
      const downMs = Array.from({ length: namesOf(options) }, () => random.between(1, 3_000));
      return one({ kind: "blackout", downMs });
    }
    case 3:
      return pauses ? one({ kind: "pause", node, ms: random.between(10, 3_000) }) : [];
    case 4:
      return partitions ? one({ kind: "partition", links: drawPartition(random, options) }) : [];
    case 5:
      return hungDisks ? one({ kind: "hang", node, ms: random.between(100, 4_000) }) : [];
    case 6:
      if (!failingDisks) return [];
      return one({ kind: "fail", node, of: random.chance(85) ? "write" : "read" });
    default:
      return clogs ? drawClogs(random, options) : [];
  }
}

function drawDeath(random: Prng, how: Death["how"], options: SwarmOptions): Death {
  const isLoss = random.chance(options.trouble.lossesPercent);
  const loss = isLoss ? random.pick(["disk", "bit", "bit"] as const) : null;
  return { how, downMs: random.between(1, 3_000), loss };
}

/** Links clog one after the other, and clear in another order. */
function drawClogs(random: Prng, options: SwarmOptions): Drawn[] {
  const links = linksWhere(namesOf(options), () => random.chance(40));
  return links.map((link) => {
    const trouble = { kind: "clog", link, ms: random.between(50, 4_000) } as const;
    return { after: random.below(1_000), trouble };
  });
}

function drawPartition(random: Prng, options: SwarmOptions): string[] {
  const nodes = namesOf(options);
  const side = new Set(Array.from({ length: nodes }, (_, i) => i).filter(() => random.chance(50)));
  const hub = random.below(nodes);
  const kinds: readonly Cut[] = [
    () => false,
    (from, to) => side.has(from) !== side.has(to),
    (from, to) => side.has(from) && !side.has(to),
    () => random.chance(30),
    // A star, and a chain: some see a quorum, others only one of those that do.
    (from, to) => from !== hub && to !== hub,
    (from, to) => Math.abs(from - to) > 1,
    // One that speaks and does not hear.
    (_from, to) => to === hub,
  ];
  return linksWhere(nodes, random.pick(kinds));
}

/**
 * Leaders fall when it matters most: soon after their election, with entries that few have. Only a
 * row of such leaders leaves tails of different terms behind.
 */
function drawLeaders(random: Prng, options: SwarmOptions): Scheduled[] {
  const schedule: Scheduled[] = [];
  const { deposePercent } = options.trouble;
  if (deposePercent === 0) return schedule;
  for (let leader = 1; leader <= LEADERS_MAX; leader++) {
    if (!random.chance(deposePercent)) continue;
    const afterMs = random.between(0, 4 * options.delayMaxMs + options.diskMaxMs);
    schedule.push({ when: { leader, afterMs }, trouble: drawLeaderTrouble(random, options) });
  }
  return schedule;
}

export function drawLeaderTrouble(random: Prng, options: SwarmOptions): LeaderTrouble {
  const kind = random.below(4);
  if (kind < 2) {
    const how = kind === 0 ? "kill" : "power";
    return { kind: "leader dies", ...drawDeath(random, how, options) };
  }
  // Less than half of the others, so that it goes on, and commits nothing.
  const others = namesOf(options) - 1;
  const few = random.below(Math.ceil(others / 2) || 1);
  const places = Array.from({ length: few }, () => random.between(1, others));
  return { kind: "leader is cut off", with: places, ms: random.between(300, 2_000) };
}

/** Whether the link is cut. */
export type Cut = (from: number, to: number) => boolean;

/** The links among so many nodes that are cut. */
export function linksWhere(nodes: number, cut: Cut): string[] {
  const all = Array.from({ length: nodes }, (_, i) => i);
  return all.flatMap((from) =>
    all.filter((to) => from !== to && cut(from, to)).map((to) => `n${from + 1}>n${to + 1}`),
  );
}
