/** One node, from its configuration to an orderly end, each step when those before are done. */
import type { FastifyInstance } from "fastify";
import about from "../../package.json" with { type: "json" };
import type { Config } from "../config.ts";
import { clientServerLimits } from "../http/limits.ts";
import { createClientServer } from "../http/server.ts";
import { ServiceHolder } from "../http/service-holder.ts";
import { join } from "../node/identity.ts";
import { inDoubt } from "../node/repair.ts";
import { nodeRuntime } from "../node/node-runtime.ts";
import type { NodeId } from "../raft/types.ts";
import { SCRUB_STEP_MS } from "../storage/scrub.ts";
import { createPeerServer, peerServerLimits } from "../transport/peer-server.ts";
import { memberOf } from "../raft/membership.ts";
import { admission } from "./members/admission.ts";
import { assemble, hello, type Parts } from "./assemble.ts";
import { DOUBT_LINE } from "./damage.ts";
import { depart } from "./members/departure.ts";
import { drainable } from "./drain.ts";
import { permissionToStart } from "./members/first-start.ts";
import { LastHeard } from "./members/last-heard.ts";
import { failStop, type Running } from "./lifetime.ts";
import { DRAIN_MS } from "./limits.ts";
import { listen, reserve } from "./listen.ts";
import type { Log } from "./log.ts";
import { keepPeerUrl, resignLeadership } from "./members/own-membership.ts";
import { peerHandlers } from "./peer-handlers.ts";
import { startDivergenceCheck, watchOverState } from "./quarantine.ts";
import { awaitLeader, unreachableLine, watchMembers } from "./members/reachability.ts";
import { statusLine } from "./report.ts";
import { seldom } from "./seldom.ts";

export interface ServeOptions {
  readonly config: Config;
  readonly log: Log;
  /** Fires when the start should be given up. */
  readonly signal: AbortSignal;
}

/** How often the other nodes are asked where their clients find them. */
const CLIENT_URLS_MS = 1_000;
/** Between two lines about those that ask for another node of this name. */
const MISTAKEN_PAUSE_MS = 10_000;

/**
 * Starts a node: the data directory first, then the listeners, and Raft only when it is certain
 * that it may take part. Throws StorageError and StartError where it cannot, and an AbortError when
 * the signal fires.
 */
export async function serve(options: ServeOptions): Promise<Running> {
  const { config, log, signal } = options;
  const holder = new ServiceHolder();
  let parts: Parts | null = null;
  const clients = clientServer(holder, options, () => parts?.self.cluster ?? null);
  const drain = drainable(clients);
  const cutClients = () => clients.server.closeAllConnections();
  const onRemoved = (why: string) => depart({ parts, holder }, { why, log });
  // It answers from the first moment, also while it waits for a cluster to join.
  await listen(clients, config.clientListen, "--client-listen");
  const release = await reserve(config.peerListen, "--peer-listen");
  warnOfSettings(options);
  const onJoining = () => holder.waitFor("a member to let this node join");
  parts = await assemble({ config, log, signal, onRemoved, onJoining });
  holder.waitFor(null);
  const { self, opened, transport, service } = parts;
  let isRunning = false;
  const peers = peerServer(parts, options, () => isRunning);
  await release();
  await listen(peers, config.peerListen, "--peer-listen");
  log.info(`clients: ${config.clientUrl}, peers: ${config.peerUrl}, data: ${config.dataDir}`);
  if (!self.joined) await firstStart(parts, options);
  signal.throwIfAborted();
  isRunning = true;
  holder.serve(service);
  watchOverState({ parts, holder, cutClients }, log);
  const stops = [
    opened.node.start(),
    service.start(),
    startDivergenceCheck(parts, log),
    nodeRuntime.every(SCRUB_STEP_MS, () => opened.scrub.step()),
    keepPeerUrl(parts, log),
    watchMembers(parts, log),
    ...(config.join.length > 0 ? [awaitLeader(parts, log)] : []),
    ...startReports(parts, options),
  ];
  return {
    async stop() {
      await resignLeadership(parts, log);
      holder.stop();
      service.watches.close();
      await drain(DRAIN_MS);
      for (const stop of stops) stop();
      await peers.close();
      await transport.close();
      await new Promise<void>((resolve) => opened.wal.write(null, resolve));
    },
  };
}

/** What works, and is hardly meant. */
function warnOfSettings({ config, log }: ServeOptions): void {
  const line = unreachableLine(config);
  if (line !== null) log.warn(line);
}

/**
 * A new data directory: whoever may have had another one asks the others, then is a part of the
 * cluster for good. A new member was asked for by the cluster itself, under this very incarnation.
 */
async function firstStart(parts: Parts, { config, log, signal }: ServeOptions): Promise<void> {
  const { disk, self, opened, transport } = parts;
  const { voters } = self.bootstrap;
  const onWaiting = () => {
    const others = self.bootstrap.members.filter(({ id }) => id !== self.id);
    const list = others.map(({ id, peerUrl }) => `${id} (${peerUrl})`).join(", ");
    log.info(
      `waiting for the other members, to start for the first time: ${list}. If the cluster has ` +
        "others by now, start this node with --join",
    );
  };
  const questions = {
    identity: self.identity,
    voters,
    hello: (peer: NodeId) => hello(transport, peer),
    onWaiting,
    inUseMs: 2 * config.electionMs,
  };
  const isNew = self.since !== null && self.since > 0;
  const answer = isNew ? "new" : await permissionToStart(questions, signal);
  const { incarnation } = self;
  let { identity } = self;
  if (answer === "lost" && self.since !== null) {
    log.error("the data directory is new, but this node is not: what was in it is lost");
    log.warn(DOUBT_LINE);
    identity = inDoubt(identity, incarnation);
    opened.raft.enterDoubt(incarnation);
  }
  await new Promise<void>((resolve) => join(disk, { identity, wal: opened.wal }, resolve));
  self.become({ ...identity, joined: true });
}

function clientServer(
  holder: ServiceHolder,
  { config, log }: ServeOptions,
  cluster: () => string | null,
): FastifyInstance {
  const { name, clientUrl } = config;
  return createClientServer({
    about: { name, clientUrl, version: about.version, cluster },
    holder,
    limits: clientServerLimits,
    fatal: (error) => failStop(log, error),
  });
}

function peerServer(
  parts: Parts,
  { config, log }: ServeOptions,
  isRunning: () => boolean,
): FastifyInstance {
  const { self, book, opened, directory, service } = parts;
  const lastHeard = new LastHeard();
  const { node } = opened;
  return createPeerServer({
    self,
    admission: admission({
      node,
      book,
      meet: ({ from, life, peerUrl }) => {
        directory.hear(from, life);
        directory.meet(from, peerUrl);
      },
      note: (id, incarnation) => lastHeard.note(id, incarnation),
    }),
    handlers: peerHandlers({
      self,
      clientUrl: config.clientUrl,
      book,
      node,
      examinee: service.examinee,
      isMember: (from) => memberOf(node.inForce().configuration, from) !== undefined,
      isRunning,
      silentMs: (id, incarnation) => lastHeard.silentMs(id, incarnation),
    }),
    limits: peerServerLimits,
    onMistaken: seldom(MISTAKEN_PAUSE_MS, (cluster: string) => {
      log.error(
        `nodes of another cluster (${cluster}) take this node for their member ${self.id}. If it ` +
          "is: stop it, remove its data directory, start it again with --join <the URL of one>",
      );
    }),
  });
}

/** Begins to look after what changes by and by. Returns how to stop that. */
function startReports(parts: Parts, { config, log }: ServeOptions): (() => void)[] {
  const { opened, service, clientUrls, directory } = parts;
  const askAll = () => {
    for (const peer of directory.members.keys()) void clientUrls.refresh(peer);
  };
  askAll();
  return [
    nodeRuntime.every(CLIENT_URLS_MS, askAll),
    nodeRuntime.every(1_000 * config.statusSeconds, () => {
      log.info(statusLine(opened.node.status(), service.storeStatus()));
    }),
  ];
}
