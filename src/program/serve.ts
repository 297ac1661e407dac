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
import { assemble, hello, type Parts } from "./assemble.ts";
import type { Address } from "./config-values.ts";
import { DOUBT_LINE } from "./damage.ts";
import { drainable } from "./drain.ts";
import { permissionToStart } from "./first-start.ts";
import { LastHeard } from "./last-heard.ts";
import { failStop, type Running, StartError } from "./lifetime.ts";
import { DRAIN_MS } from "./limits.ts";
import type { Log } from "./log.ts";
import { peerHandlers } from "./peer-handlers.ts";
import { statusLine } from "./report.ts";

export interface ServeOptions {
  readonly config: Config;
  readonly log: Log;
  /** Fires when the start should be given up. */
  readonly signal: AbortSignal;
}

/** How often the other nodes are asked where their clients find them. */
const CLIENT_URLS_MS = 1_000;

/**
 * Starts a node: the data directory first, then the listeners, and Raft only when it is certain
 * that it may take part. Throws StorageError and StartError where it cannot, and an AbortError when
 * the signal fires.
 */
export async function serve(options: ServeOptions): Promise<Running> {
  const { config, log, signal } = options;
  const parts = await assemble(config, log);
  const { self, opened, transport, service } = parts;
  const holder = new ServiceHolder();
  let isRunning = false;
  const clients = clientServer(holder, options);
  const drain = drainable(clients);
  const peers = peerServer(parts, config, () => isRunning);
  await listen(clients, config.clientListen, "--client-listen");
  await listen(peers, config.peerListen, "--peer-listen");
  log.info(`clients: ${config.clientUrl}, peers: ${config.peerUrl}, data: ${config.dataDir}`);
  const others = new Map(config.initialCluster);
  others.delete(config.name);
  transport.setPeers(others);
  if (!self.joined) await firstStart(parts, options);
  signal.throwIfAborted();
  isRunning = true;
  holder.serve(service);
  const stops = [
    opened.node.start(),
    service.start(),
    nodeRuntime.every(SCRUB_STEP_MS, () => opened.scrub.step()),
    ...startReports(parts, options),
  ];
  return {
    async stop() {
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

/** A new data directory: asks the others, then is a part of the cluster for good. */
async function firstStart(parts: Parts, { config, log, signal }: ServeOptions): Promise<void> {
  const { disk, self, opened, transport } = parts;
  const voters = [...config.initialCluster.keys()];
  const onWaiting = () => {
    log.info("waiting for the other members, to start for the first time");
  };
  const questions = {
    identity: self.identity,
    voters,
    hello: (peer: NodeId) => hello(transport, peer),
    onWaiting,
    inUseMs: 2 * config.electionMs,
  };
  const answer = await permissionToStart(questions, signal);
  const { incarnation } = self;
  let { identity } = self;
  if (answer === "lost") {
    log.error("the data directory is new, but this node is not: what was in it is lost");
    log.warn(DOUBT_LINE);
    identity = inDoubt(identity, incarnation);
    opened.raft.enterDoubt(incarnation);
  }
  await new Promise<void>((resolve) => join(disk, { identity, wal: opened.wal }, resolve));
  self.become({ ...identity, joined: true });
}

function clientServer(holder: ServiceHolder, { config, log }: ServeOptions): FastifyInstance {
  return createClientServer({
    about: { name: config.name, clientUrl: config.clientUrl, version: about.version },
    holder,
    limits: clientServerLimits,
    fatal: (error) => failStop(log, error),
  });
}

function peerServer(parts: Parts, config: Config, isRunning: () => boolean): FastifyInstance {
  const { self, book, opened } = parts;
  const lastHeard = new LastHeard();
  const { node } = opened;
  const { clientUrl } = config;
  const isMember = (from: NodeId) => config.initialCluster.has(from);
  return createPeerServer({
    self,
    admission: {
      isMember,
      admit(sender) {
        const answer = book.admit(sender.from, sender);
        if (answer === "yes") lastHeard.note(sender.from);
        return answer;
      },
    },
    handlers: peerHandlers({
      self,
      clientUrl,
      book,
      node,
      isMember,
      isRunning,
      silentMs: (id) => lastHeard.silentMs(id),
    }),
    limits: peerServerLimits,
  });
}

/** Begins to look after what changes by and by. Returns how to stop that. */
function startReports(parts: Parts, { config, log }: ServeOptions): (() => void)[] {
  const { opened, service, clientUrls } = parts;
  const others = [...config.initialCluster.keys()].filter((id) => id !== config.name);
  const askAll = () => {
    for (const peer of others) void clientUrls.refresh(peer);
  };
  askAll();
  return [
    nodeRuntime.every(CLIENT_URLS_MS, askAll),
    nodeRuntime.every(1_000 * config.statusSeconds, () => {
      log.info(statusLine(opened.node.status(), service.storeStatus()));
    }),
  ];
}

async function listen(server: FastifyInstance, address: Address, flag: string): Promise<void> {
  const { host, port } = address;
  try {
    await server.listen({ host, port });
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    const what =
      code === "EADDRINUSE"
        ? `port ${port} of ${host} is taken: end what listens there, or choose another ${flag}`
        : `cannot listen on ${host}:${port} (${message}): choose another ${flag}`;
    throw new StartError(what, { cause });
  }
}
