/** Asking until there is an answer for certain, through whichever node gives one. */
import { call, type CallOptions, type Reply } from "./client.ts";
import { until } from "./until.ts";

interface Node {
  readonly url: string;
}

/** An answer, and how often it was asked for. */
export interface Settled extends Reply {
  readonly attempts: number;
}

/** Several elections, on a busy machine. */
const SETTLED_MS = 30_000;

/**
 * Sends the request to one node after another, the first of `nodes` first, until one answers with
 * a status below 500. So it may be carried out more than once, unless it says otherwise itself.
 * Fails after half a minute.
 */
export function settled(
  nodes: readonly Node[],
  path: string,
  options: CallOptions = {},
): Promise<Settled> {
  let attempts = 0;
  const ask = async () => {
    const node = nodes[attempts++ % nodes.length];
    if (node === undefined) throw new Error("no nodes");
    // Whatever became of it there, it is asked for again.
    const reply = await call(`${node.url}${path}`, options).catch(() => null);
    return reply !== null && reply.status < 500 && { ...reply, attempts };
  };
  return until(`an answer to ${options.method ?? "GET"} ${path}`, ask, SETTLED_MS);
}
