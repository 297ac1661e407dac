/**
 * A node whose state turned out to be wrong (D4): it answers no client, and takes no part in the
 * cluster. That is written down, as a restart would read what the wrong state may have left behind.
 */
import type { ServiceHolder } from "../http/service-holder.ts";
import { byteString, bytesOf } from "../lib/bytes.ts";
import { nodeClock } from "../service/node-clock.ts";
import { type Answered, DivergenceCheck } from "../service/divergence.ts";
import type { Disk } from "../storage/disk.ts";
import { printable } from "../transport/identity.ts";
import type { Parts } from "./assemble.ts";
import type { Log } from "./log.ts";
import { seldom } from "./seldom.ts";

/** That it is there is what counts: damage to its content does not undo it. */
export const QUARANTINE_FILE = "quarantine.txt";
/** A contradiction that nobody can resolve is told at most so often. */
const STALEMATE_PAUSE_MS = 10_000;
/** Of what the file says, which may be damaged. */
const REASON_CHARACTERS_MAX = 80;
const CURE =
  "stop it, remove its data directory, start it again with --join <the URL of another node>";

/** What a quarantine takes. */
export interface Quarantined {
  readonly parts: Parts;
  readonly holder: ServiceHolder;
  /** Cuts off all clients, with whatever they are being told. */
  readonly cutClients: () => void;
}

/** Puts this node into quarantine where an earlier process of it was, or as soon as it is wrong. */
export function watchOverState(target: Quarantined, log: Log): void {
  const { disk, service } = target.parts;
  const enter = (what: string) => {
    const line = `this node's state differs from the majority's (${what}): ${CURE}`;
    quarantine(target, line);
    log.error(line);
  };
  if (disk.list().includes(QUARANTINE_FILE)) {
    return enter(printable(byteString(disk.read(QUARANTINE_FILE)).trim(), REASON_CHARACTERS_MAX));
  }
  service.examinee.whenWrong((where) => {
    enter(where);
    writeDown(disk, where, () => log.error("that is written down: a restart will not forget it"));
  });
}

/** Begins to examine all members whenever this node leads. Returns how to stop. */
export function startDivergenceCheck(parts: Parts, log: Log): () => void {
  const { opened, store, leaders, service, transport } = parts;
  return new DivergenceCheck({
    node: opened.node,
    store,
    leaders,
    calls: transport.calls,
    clock: nodeClock,
    examinee: service.examinee,
    onStalemate: seldom(STALEMATE_PAUSE_MS, (answers: readonly Answered[]) => {
      log.error(stalemateLine(answers));
    }),
  }).start();
}

function stalemateLine(answers: readonly Answered[]): string {
  const said = answers.map(({ id, chain, page }) => `${id}: ${chain ?? "-"}/${page ?? "-"}`);
  return (
    "the members' states differ, and none has a majority, so nobody knows which is right: " +
    `bring the other members back, so that they decide (${said.join(", ")})`
  );
}

/** What may be wrong is not told any more, not even to those who wait for it. */
function quarantine({ parts, holder, cutClients }: Quarantined, line: string): void {
  holder.quarantine(line);
  parts.service.examinee.retire();
  parts.service.watches.close();
  cutClients();
  parts.opened.node.retire();
}

function writeDown(disk: Disk, what: string, done: () => void): void {
  const temporary = `${QUARANTINE_FILE}.tmp`;
  disk.remove(temporary);
  disk.append(temporary, [bytesOf(`${what}\n`)], () =>
    disk.rename(temporary, QUARANTINE_FILE, done),
  );
}
