/** `quorate member replace`: a member gives its place to another one that has all the data. */
import { setTimeout as sleep } from "node:timers/promises";
import type { ClusterStatus, Member, MemberChanges } from "../client/index.ts";
import { QuorateError } from "../client/error.ts";
import { CommandError, EXIT } from "./exit.ts";
import type { Session } from "./session.ts";
import { interruptible } from "./signals.ts";

/** Who goes, and who stays. */
export interface Replacement {
  readonly old: string;
  readonly young: string;
}

/** How often the cluster is asked how far the new member is. */
const LOOK_MS = 500;
/** Somebody has changed what was seen: look again. */
const LOOK_AGAIN = new Set(["CONFIG_CHANGE_IN_PROGRESS", "INVALID_REQUEST"]);

/**
 * Waits until the new member keeps up, and says what is missing whenever that changes; then makes
 * it a voter and removes the old one in one step. Rejects with Interrupted when somebody ends it.
 */
export function replace(session: Session, replacement: Replacement): Promise<ClusterStatus> {
  const { client, warn } = session;
  return interruptible(async (signal) => {
    let told = "";
    for (;;) {
      const status = await client.cluster.status({ signal });
      const next = nextStep(status, replacement);
      if (typeof next !== "string") {
        const done = await tryOnce(session, next, signal);
        if (done !== null) return done;
      } else if (next !== told) {
        warn(next);
        told = next;
      }
      await sleep(LOOK_MS, undefined, { signal }).catch(() => signal.throwIfAborted());
    }
  });
}

/** Null: the members have changed meanwhile. */
async function tryOnce(
  { client }: Session,
  changes: MemberChanges,
  signal: AbortSignal,
): Promise<ClusterStatus | null> {
  try {
    return await client.cluster.change(changes, { signal });
  } catch (error) {
    if (error instanceof QuorateError && LOOK_AGAIN.has(error.code)) return null;
    throw error;
  }
}

/** What to change, or what to wait for. */
function nextStep({ members }: ClusterStatus, { old, young }: Replacement): MemberChanges | string {
  const found = memberIn(members, young, `start it with --join, or see quorate member add --help`);
  memberIn(members, old, "look with quorate member list");
  if (found.role === "voter") return { remove: [old] };
  if (found.keepsUp === true) return { promote: [young], remove: [old] };
  if (found.lag === null) return `waiting for the leader to say how far ${young} is`;
  if (found.matched === 0) return `waiting for ${young} to be started`;
  return `waiting for ${young}: it lacks ${found.lag} entries`;
}

function memberIn(members: readonly Member[], name: string, advice: string): Member {
  const found = members.find((member) => member.name === name);
  if (found !== undefined) return found;
  throw new CommandError(`${name} is no member: ${advice}`, EXIT.no);
}
