/** What is left to do when the cluster has removed this node: answer no client, and be quiet. */
import type { ServiceHolder } from "../../http/service-holder.ts";
import type { Parts } from "../assemble.ts";
import type { Log } from "../log.ts";

/** The node that has to go. */
export interface Departing {
  /** Null: it has not begun yet. */
  readonly parts: Parts | null;
  readonly holder: ServiceHolder;
}

/** Takes the node out of service. Its data stays, and is of no use to the cluster. */
export function depart({ parts, holder }: Departing, about: { why: string; log: Log }): void {
  if (holder.removed !== null) return;
  const line =
    "this node was removed from the cluster: stop it, and remove its data directory before it " +
    "joins again";
  holder.remove(line);
  about.log.error(`${line} (${about.why})`);
  parts?.service.watches.close();
  parts?.opened.node.retire();
  parts?.service.depart();
}
