/** When somebody asks for other members, or for another leader: drawn like what goes wrong. */
import type { Prng } from "../../src/lib/random.ts";
import type { SwarmOptions } from "./options.ts";
import {
  type Aftermath,
  type AskedChange,
  type AskedTransfer,
  drawLeaderTrouble,
  LEADERS_MAX,
  type MemberWish,
  namesOf,
  type Scheduled,
} from "./schedule.ts";

/** Mostly nodes join and leave; the rest is what operators do by hand. */
const WISHES: readonly MemberWish["type"][] = [
  "join",
  "join",
  "join",
  "add",
  "promote",
  "promote",
  "demote",
  "remove",
  "remove",
  "remove",
  "move",
];

export function drawChanges(random: Prng, options: SwarmOptions): Scheduled[] {
  const { changeEveryMs, transferEveryMs, lastsMs } = options.trouble;
  const changes = timesWithin(random, changeEveryMs, lastsMs).map((at): Scheduled => {
    return { when: { at }, trouble: { kind: "change", ...drawChange(random, options) } };
  });
  const transfers = timesWithin(random, transferEveryMs, lastsMs).map((at): Scheduled => {
    return { when: { at }, trouble: { kind: "transfer", ...drawTransfer(random, options) } };
  });
  return [...changes, ...transfers, ...drawEarly(random, options)];
}

/** Leaders that are asked for a change soon after their election, before all is settled (M1). */
function drawEarly(random: Prng, options: SwarmOptions): Scheduled[] {
  const schedule: Scheduled[] = [];
  if (options.trouble.changeEveryMs === 0 || !random.chance(50)) return schedule;
  for (let leader = 1; leader <= LEADERS_MAX; leader++) {
    if (!random.chance(30)) continue;
    const afterMs = random.between(0, 4 * options.delayMaxMs + options.diskMaxMs);
    const trouble = { kind: "leader changes members", wishes: drawWishes(random) } as const;
    schedule.push({ when: { leader, afterMs }, trouble });
  }
  return schedule;
}

function timesWithin(random: Prng, everyMs: number, lastsMs: number): number[] {
  const times: number[] = [];
  if (everyMs === 0) return times;
  const next = () => random.between(1, 2 * everyMs);
  for (let at = next(); at < lastsMs; at += next()) times.push(at);
  return times;
}

function drawChange(random: Prng, options: SwarmOptions): AskedChange {
  const asked = drawAsked(random, options);
  const wishes = drawWishes(random);
  // A step of a change takes about that long.
  const soonMs = 4 * options.delayMaxMs + 2 * options.diskMaxMs;
  return { asked, wishes, after: drawAfter(random, options, soonMs) };
}

function drawTransfer(random: Prng, options: SwarmOptions): AskedTransfer {
  const to = random.chance(30) ? null : random.below(namesOf(options));
  const asked = drawAsked(random, options);
  // Before it can hear of the other's election.
  return { asked, to, after: drawAfter(random, options, options.delayMaxMs) };
}

function drawAfter(random: Prng, options: SwarmOptions, soonMs: number): Aftermath | null {
  if (!options.trouble.crashes || !random.chance(25)) return null;
  return { afterMs: random.between(0, soonMs), trouble: drawLeaderTrouble(random, options) };
}

function drawAsked(random: Prng, options: SwarmOptions): number | null {
  return random.chance(75) ? null : random.below(namesOf(options));
}

function drawWishes(random: Prng): readonly MemberWish[] {
  if (random.chance(10)) return [{ type: "replace all", pick: 0 }];
  const count = random.pick([1, 1, 1, 2, 3]);
  return Array.from({ length: count }, () => ({
    type: random.pick(WISHES),
    pick: random.below(1_000),
  }));
}
