/** What a node does about its own part in the cluster: its address, and leadership when it ends. */
import { nodeRuntime } from "../../node/node-runtime.ts";
import { memberOf } from "../../raft/membership.ts";
import type { Millis } from "../../raft/types.ts";
import { ServiceError } from "../../service/errors.ts";
import type { Parts } from "../assemble.ts";
import type { Log } from "../log.ts";
import { seldom } from "../seldom.ts";

/** How often a node looks whether the others know where it is. */
const LOOK_MS = 1_000;
/** For the cluster to agree on the address. */
const CHANGE_MS = 5_000;
/** Between two lines about that it did not. */
const TELL_PAUSE_MS = 10_000;
/** For another node to take over. */
const TRANSFER_MS = 2_000;

/**
 * Has the configuration say where this node is reached, if its operator has given it another
 * address since (M11). Returns how to stop looking.
 */
export function keepPeerUrl({ self, service, opened }: Parts, log: Log): () => void {
  let isAsking = false;
  const tell = seldom(TELL_PAUSE_MS, (why: string) => {
    log.warn(`the others do not know yet that this node is at ${self.peerUrl}: ${why}`);
  });
  const look = async (): Promise<void> => {
    const { configuration } = opened.node.inForce();
    const member = memberOf(configuration, self.id);
    if (isAsking || member === undefined || member.peerUrl === self.peerUrl) return;
    isAsking = true;
    const move = { type: "move", id: self.id, peerUrl: self.peerUrl } as const;
    try {
      await service.members.change([move], deadlineIn(CHANGE_MS));
      log.info(`the others know now that this node is at ${self.peerUrl}`);
    } catch (error) {
      if (!(error instanceof ServiceError)) throw error;
      tell(error.message);
    }
    isAsking = false;
  };
  return nodeRuntime.every(LOOK_MS, () => void look());
}

/** If this node leads, another shall, before it stops: nobody has to wait for an election then. */
export async function resignLeadership({ opened, service }: Parts, log: Log): Promise<void> {
  const { role, configuration } = opened.node.status();
  if (role !== "leader" || configuration.voters.length === 1) return;
  try {
    const leader = await service.members.transfer(null, deadlineIn(TRANSFER_MS));
    log.info(`${leader} leads now`);
  } catch (error) {
    if (!(error instanceof ServiceError)) throw error;
    log.info(`nobody took over (${error.code}): the others have to elect a leader`);
  }
}

function deadlineIn(ms: number): Millis {
  return (nodeRuntime.now() + ms) as Millis;
}
