/** What the log says about a running node: one line for each thing that its operator may miss. */
import type { SnapshotEvent } from "../node/snapshots.ts";
import { unreachable } from "../lib/assert.ts";
import type { InForce } from "../node/node.ts";
import type { RaftStatus } from "../raft/raft.ts";
import type { Log } from "./log.ts";
import { seldom } from "./seldom.ts";

/** How the state machine is doing. */
export interface StoreStatus {
  readonly keys: number;
  readonly revision: number;
}

/** A change of role, term or leader, in the notation of the tests: `n1@3 follower(n2)`. */
export function changeLine(now: RaftStatus, before: RaftStatus): string {
  const { lastIndex, lastTerm, committed } = now;
  return `${who(now)} last=${lastIndex}@${lastTerm} commit=${committed}, was ${who(before)}`;
}

/** Another configuration is in force, or one was committed: `{n2,n3|n1,n2,n3+n4}`. */
export function membersLine({ configuration, index, isCommitted }: InForce): string {
  const { voters, outgoing, learners } = configuration;
  const before = outgoing.length > 0 ? `|${outgoing.join()}` : "";
  const after = learners.length > 0 ? `+${learners.join()}` : "";
  const state = isCommitted ? "committed" : "in force";
  return `members {${voters.join()}${before}${after}} by entry ${index}: ${state}`;
}

/** The line that comes every few seconds. */
export function statusLine(raft: RaftStatus, store: StoreStatus): string {
  return [
    `state=${raft.role}`,
    `leader=${raft.leader ?? "-"}`,
    `term=${raft.term}`,
    `commit=${raft.committed}`,
    `applied=${raft.applied}`,
    `keys=${store.keys}`,
    `revision=${store.revision}`,
  ].join(" ");
}

export function snapshotLine(event: SnapshotEvent): string {
  switch (event.type) {
    case "saved":
      return `snapshot ${event.index} saved: ${event.bytes} bytes in ${Math.round(event.ms)} ms`;
    case "sending":
      return `snapshot ${event.index} is being sent to ${event.to}`;
    case "sent":
      return `snapshot sent to ${event.to}${event.ok ? "" : ": failed, to be tried again"}`;
    case "received":
      return `snapshot ${event.index} received from ${event.from}`;
    case "installed":
      return `snapshot ${event.index} installed: it is the state now`;
    case "damaged":
      return `${event.file} is damaged on disk (${event.what}): it is written anew from memory`;
    case "healed":
      return `${event.file} is replaced: nothing was lost`;
    default:
      return unreachable(event);
  }
}

/** A disk so slow is said at most so often. */
const SLOW_DISK_PAUSE_MS = 10_000;

/**
 * Watches the time that fsyncs take. One that takes more than half an election timeout is told,
 * but not every one of many.
 */
export class SlowDisk {
  readonly #limitMs: number;
  readonly #tell: (ms: number) => void;

  constructor(log: Log, electionMs: number) {
    this.#limitMs = electionMs / 2;
    this.#tell = seldom(SLOW_DISK_PAUSE_MS, (ms) =>
      log.warn(
        `the disk is slow: an fsync took ${Math.round(ms)} ms; past an election timeout, ` +
          "a leader loses its followers",
      ),
    );
  }

  onSync(ms: number): void {
    if (ms > this.#limitMs) this.#tell(ms);
  }
}

function who({ id, term, role, leader }: RaftStatus): string {
  return `${id}@${term} ${role === "follower" ? `follower(${leader ?? "-"})` : role}`;
}
