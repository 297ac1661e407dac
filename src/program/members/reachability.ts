/** Says where the members of a cluster do not reach each other, which nobody else would notice. */
import type { Config } from "../../config.ts";
import { nodeRuntime } from "../../node/node-runtime.ts";
import type { NodeId } from "../../raft/types.ts";
import type { MemberView } from "../../service/cluster-view.ts";
import type { Parts } from "../assemble.ts";
import { hostAndPort } from "../config-values.ts";
import type { Log } from "../log.ts";

/** Who is silent for so long is not just slow. */
export const SILENT_MS = 10_000;
/** How often a node looks. */
const LOOK_MS = 1_000;

/** Which members the leader has not heard for long: each is told once, and anew after it spoke. */
export class SilentMembers {
  readonly #told = new Set<NodeId>();

  /** A line for each that is to be told now. Whoever does not lead knows nothing of them. */
  look(members: readonly Pick<MemberView, "name" | "peerUrl" | "progress">[]): readonly string[] {
    const silent = members.filter(({ progress }) => (progress?.lastContactMs ?? 0) > SILENT_MS);
    const fresh = silent.filter(({ name }) => !this.#told.has(name));
    this.#told.clear();
    for (const { name } of silent) this.#told.add(name);
    return fresh.map(
      ({ name, peerUrl }) =>
        `${name} has been silent for ${SILENT_MS / 1_000} s: is it running, and can it be ` +
        `reached from here at ${peerUrl}?`,
    );
  }
}

/** Looks after that as long as this node leads. Returns how to stop. */
export function watchMembers({ service }: Parts, log: Log): () => void {
  const silent = new SilentMembers();
  return nodeRuntime.every(LOOK_MS, () => {
    for (const line of silent.look(service.members.view().members)) log.warn(line);
  });
}

/** A node that has joined hears of a leader soon, or its operator is told. Returns how to stop. */
export function awaitLeader({ self, leaders }: Parts, log: Log): () => void {
  const from = nodeRuntime.now();
  const stop = nodeRuntime.every(LOOK_MS, () => {
    if (leaders.leader !== null) return stop();
    if (nodeRuntime.now() - from < SILENT_MS) return;
    log.warn(`no leader has reached this node: can the others reach ${self.peerUrl}?`);
    stop();
  });
  return stop;
}

/** Why the others cannot reach this node, as far as its settings say that; null: they can. */
export function unreachableLine({ peerListen, peerUrl }: Config): string | null {
  // Of an IPv6 host, URLs keep the brackets.
  const host = new URL(peerUrl).hostname.replace(/^\[(.*)\]$/, "$1");
  if (!isLoopback(peerListen.host) || isLoopback(host)) return null;
  return (
    `--peer-listen ${hostAndPort(peerListen)} is for this machine only, but --peer-url says ` +
    `${peerUrl}: the other nodes cannot reach this one there, unless something passes that on`
  );
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127\.\d+\.\d+\.\d+$/.test(host);
}
