/** How a node with an empty data directory becomes a member of a running cluster. */
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import type { Config } from "../../config.ts";
import { byteString, bytesOf } from "../../lib/bytes.ts";
import type { NodeIdentity } from "../../node/identity.ts";
import { inOrder } from "../../raft/membership.ts";
import { asIndex, type Configuration, isNodeId, type NodeId } from "../../raft/types.ts";
import type { Disk } from "../../storage/disk.ts";
import { isPlainName } from "../../transport/identity.ts";
import { newIncarnation } from "./incarnation.ts";
import { JoinTroubles } from "./join-troubles.ts";
import { StartError } from "../lifetime.ts";
import type { Log } from "../log.ts";

/** Under which name it asks, written down first: so the cluster knows it when it asks again. */
export const JOIN_FILE = "joining.txt";
/** Between two rounds of asking all members. */
const PAUSE_MS = 500;
/** For one member to answer: the cluster has to agree on it. */
const ANSWER_MS = 10_000;
/** For one member to say which cluster it is of. */
const CHECK_MS = 1_000;

const nodeId = z.string().refine(isNodeId);

/** Of the cluster, as it answers whoever joins. More may be said in later versions. */
const answerSchema = z.object({
  cluster_id: z.string().refine(isPlainName),
  /** Another change is under way: what is in force may yet be taken back. */
  changing: z.boolean(),
  members: z.array(
    z.object({
      name: nodeId,
      role: z.enum(["voter", "learner", "leaving"]),
      /** In the middle of a change, it still votes with those before. */
      outgoing: z.boolean(),
      joining: z.boolean(),
      peer_url: z.string(),
      incarnation: z.string(),
      since: z.int().nonnegative(),
    }),
  ),
});

const clusterSchema = answerSchema.pick({ cluster_id: true });

const errorSchema = z.object({ error: z.string(), code: z.string(), retryable: z.boolean() });

type ClusterAnswer = z.output<typeof answerSchema>;

/** What becomes of one attempt with one member. */
type Attempt =
  | { readonly type: "taken"; readonly answer: ClusterAnswer }
  /** The cluster has a member of this name at this place, so the data directory is a new one. */
  | { readonly type: "known"; readonly answer: ClusterAnswer }
  /** It cannot now: another member may, or a later attempt. */
  | { readonly type: "later"; readonly why: string }
  /** It is no member any more: only another one may. */
  | { readonly type: "removed"; readonly why: string };

/** Whether the node has yet to become a member of the cluster that it is to join. */
export function hasToJoin(disk: Disk, { join }: Config): boolean {
  const isNew = disk.list().every((name) => name.endsWith(".tmp") || name === JOIN_FILE);
  return isNew && join.length > 0;
}

/**
 * Asks the members that are known, in turn, until one has made this node a learner, which votes
 * when it has caught up. A member that has lost its data directory stays one, and is in doubt
 * (M13). Throws StartError where the cluster refuses, or all that are known were removed from it,
 * and rejects with an AbortError when the signal fires. Interrupted anywhere, it is done again, and
 * finds itself a member.
 */
export async function joinCluster(
  disk: Disk,
  config: Config,
  { log, signal }: { readonly log: Log; readonly signal: AbortSignal },
): Promise<NodeIdentity> {
  const incarnation = await incarnationOf(disk);
  const troubles = new JoinTroubles(log);
  const removed = new Set<string>();
  for (;;) {
    for (const url of config.join) {
      const attempt = await ask(url, { config, incarnation, signal });
      const self = { id: config.name, incarnation };
      if (attempt.type === "taken") return identityFrom(attempt.answer, self);
      if (attempt.type === "known") return doubtfulFrom(attempt.answer, self);
      if (attempt.type === "removed") removed.add(url);
      else removed.delete(url);
      troubles.add(url, attempt.why);
    }
    if (config.join.every((url) => removed.has(url))) throw allRemoved(config.join);
    await sleep(PAUSE_MS, undefined, { signal });
  }
}

/**
 * Says what becomes of --join where the data directory is a member's already. Not more than that:
 * whoever answers there may be the one that is wrong.
 */
export async function tellUnusedJoin(
  { cluster }: NodeIdentity,
  urls: readonly string[],
  { log, signal }: { readonly log: Log; readonly signal: AbortSignal },
): Promise<void> {
  log.info(`a member of the cluster ${cluster} already: --join is of no use any more`);
  const told = await Promise.all(urls.map((url) => clusterAt(url, signal)));
  const other = told.find((id) => id !== null && id !== cluster);
  if (other === undefined) return;
  log.error(
    `--join names nodes of another cluster (${other}), but this --data-dir is of ${cluster}, and ` +
      "stays so: to have this node join them, give it an empty --data-dir",
  );
}

/** Null: it does not say. */
async function clusterAt(url: string, signal: AbortSignal): Promise<string | null> {
  const response = await request(`${url}/v1/cluster`, { signal, timeoutMs: CHECK_MS });
  if (response.type === "later") return null; // It may be down: the directory is used all the same.
  const parsed = clusterSchema.safeParse(jsonOf(response.text));
  return parsed.success ? parsed.data.cluster_id : null;
}

function allRemoved(urls: readonly string[]): StartError {
  const whom = urls.length === 1 ? `${urls[0]} was` : `${urls.join(", ")} were all`;
  return new StartError(`${whom} removed from the cluster: name a member of it by --join`);
}

async function incarnationOf(disk: Disk): Promise<string> {
  if (disk.list().includes(JOIN_FILE)) {
    const known = byteString(disk.read(JOIN_FILE)).trim();
    if (isPlainName(known)) return known;
  }
  const incarnation = newIncarnation();
  const temporary = `${JOIN_FILE}.tmp`;
  disk.remove(temporary);
  await new Promise<void>((resolve) =>
    disk.append(temporary, [bytesOf(`${incarnation}\n`)], () =>
      disk.rename(temporary, JOIN_FILE, resolve),
    ),
  );
  return incarnation;
}

interface Asking {
  readonly config: Config;
  readonly incarnation: string;
  readonly signal: AbortSignal;
}

async function ask(url: string, about: Asking): Promise<Attempt> {
  const { name, clientUrl, peerUrl } = about.config;
  if (url === clientUrl) return { type: "later", why: "that is this node itself" };
  const wish = { name, peer_url: peerUrl, role: "voter", incarnation: about.incarnation };
  const response = await request(`${url}/v1/cluster/members`, about, wish);
  if (response.type === "later") return response;
  if (response.status < 400) return settled("taken", readAnswer(url, response.text));
  const parsed = errorSchema.safeParse(jsonOf(response.text));
  if (!parsed.success) return { type: "later", why: strangeAnswer(response.status) };
  const { error: why, code, retryable } = parsed.data;
  if (code === "MEMBER_REMOVED") return { type: "removed", why };
  if (retryable || response.status >= 500) return { type: "later", why };
  return (code === "MEMBER_EXISTS" && (await recognised(url, about))) || refused(url, why);
}

/** Whoever is asked for something else than it has answers like this. */
function strangeAnswer(status: number): string {
  const isNoNode =
    status < 500 ? "; that is no client URL of a Quorate node (is it a peer URL?)" : "";
  return `it answers ${status}${isNoNode}`;
}

/** Null: whoever has this name is somewhere else. */
async function recognised(url: string, about: Asking): Promise<Attempt | null> {
  const response = await request(`${url}/v1/cluster`, about);
  if (response.type === "later") return response;
  if (response.status >= 400) return { type: "later", why: `it answers ${response.status}` };
  const answer = readAnswer(url, response.text);
  const { name, peerUrl } = about.config;
  const isHere = answer.members.some((one) => one.name === name && one.peer_url === peerUrl);
  return isHere ? settled("known", answer) : null;
}

function settled(type: "taken" | "known", answer: ClusterAnswer): Attempt {
  if (!answer.changing) return { type, answer };
  return { type: "later", why: "another change of the members is under way" };
}

function refused(url: string, why: string): never {
  throw new StartError(`${url} does not let this node join: ${why}`);
}

/** `wish`: to be posted. Rejects with an AbortError when the signal fires. */
async function request(
  url: string,
  { signal, timeoutMs = ANSWER_MS }: { readonly signal: AbortSignal; readonly timeoutMs?: number },
  wish?: Readonly<Record<string, string>>,
): Promise<
  | { readonly type: "answered"; readonly status: number; readonly text: string }
  | { readonly type: "later"; readonly why: string }
> {
  const posted = {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(wish),
  };
  try {
    const response = await fetch(url, {
      ...(wish !== undefined && posted),
      signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
    });
    return { type: "answered", status: response.status, text: await response.text() };
  } catch (error) {
    signal.throwIfAborted();
    return { type: "later", why: `it does not answer (${causeOf(error)})` };
  }
}

function readAnswer(url: string, text: string): ClusterAnswer {
  const parsed = answerSchema.safeParse(jsonOf(text));
  if (parsed.success) return parsed.data;
  throw new StartError(`${url} is no member of a Quorate cluster: its answer makes no sense`);
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Neither an answer nor an error of a node, and treated as that.
    return null;
  }
}

interface Joining {
  readonly id: NodeId;
  readonly incarnation: string;
}

function identityFrom(answer: ClusterAnswer, { id, incarnation }: Joining): NodeIdentity {
  const own = answer.members.find((member) => member.name === id);
  if (own?.incarnation !== incarnation) {
    throw new StartError(
      `the cluster has ${id} with another data directory: choose another --name`,
    );
  }
  return { ...memberIn(answer), id, incarnation, since: own.since };
}

/** What it had promised before is lost, so it counts for nothing until the others say so. */
function doubtfulFrom(answer: ClusterAnswer, { id, incarnation }: Joining): NodeIdentity {
  return { ...memberIn(answer), id, incarnation, since: null };
}

/** What all new members of the cluster have in common. */
function memberIn({ cluster_id: cluster, members }: ClusterAnswer) {
  const named = (isWanted: (member: (typeof members)[number]) => boolean) =>
    members
      .filter(isWanted)
      .map(({ name }) => name)
      .sort();
  const bootstrap: Configuration = {
    voters: named(({ role }) => role === "voter"),
    outgoing: named(({ outgoing }) => outgoing),
    learners: named(({ role }) => role === "learner"),
    members: inOrder(
      members.map((member) => ({
        id: member.name,
        peerUrl: member.peer_url,
        incarnation: member.incarnation,
        since: asIndex(member.since),
        isJoining: member.joining,
      })),
    ),
  };
  return { cluster, joined: false, voters: bootstrap.voters.length, bootstrap };
}

function causeOf(error: unknown): string {
  const { cause } = error as { cause?: unknown };
  return cause instanceof Error ? cause.message : String((error as Error).message);
}
