/** What all nodes must agree on once nothing happens any more. */
import { request } from "undici";
import { until } from "../integration/until.ts";

/** A node, wherever it runs. */
export interface Served {
  readonly name: string;
  /** Where it serves clients. */
  readonly url: string;
}

/** How far a node is. */
export interface Standing {
  readonly term: number;
  readonly revision: number;
  readonly keys: number;
  readonly log: { readonly last: number; readonly committed: number; readonly applied: number };
}

const QUIET_MS = 30_000;

/** Waits until all nodes have applied the same, and nothing is under way. Returns where that is. */
export async function quiet(nodes: readonly Served[]): Promise<Standing> {
  return until(
    "all nodes have applied the same log",
    async () => {
      const all = await Promise.all(nodes.map(standingOf));
      const [first] = all;
      if (first === undefined || first.log.applied !== first.log.last) return null;
      const isSame = all.every((each) => JSON.stringify(each) === JSON.stringify(first));
      return isSame ? first : null;
    },
    QUIET_MS,
  );
}

/** Reads the keys from the memory of every node. Returns where nodes differ, in words. */
export async function differences(
  nodes: readonly Served[],
  keys: readonly string[],
): Promise<readonly string[]> {
  const found: string[] = [];
  for (const key of keys) {
    const answers = await Promise.all(nodes.map((node) => readStale(node, key)));
    if (new Set(answers).size === 1) continue;
    const said = answers.map((answer, at) => `${nodes[at]?.name}: ${answer}`);
    found.push(`${key} differs: ${said.join("; ")}`);
  }
  return found;
}

async function standingOf({ url }: Served): Promise<Standing> {
  const response = await request(`${url}/v1/status`, { signal: AbortSignal.timeout(5_000) });
  const { term, revision, keys, log } = (await response.body.json()) as Standing;
  const { last, committed, applied } = log;
  return { term, revision, keys, log: { last, committed, applied } };
}

async function readStale({ url }: Served, key: string): Promise<string> {
  const path = `/keys/${encodeURIComponent(key)}?consistency=stale`;
  const response = await request(`${url}${path}`, { signal: AbortSignal.timeout(5_000) });
  const { "quorate-version": version, etag } = response.headers;
  return `${response.statusCode} ${await response.body.text()} ${String(version)} ${String(etag)}`;
}
