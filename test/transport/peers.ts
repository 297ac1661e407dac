/** Real peer servers and transports on loopback, and raw TCP servers that misbehave. */
import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import type { FastifyInstance } from "fastify";
import { vi } from "vitest";
import { Prng, type Random } from "../../src/lib/random.ts";
import type { Message } from "../../src/raft/message.ts";
import type { Index, NodeId, Term } from "../../src/raft/types.ts";
import {
  HttpTransport,
  type TransportLimits,
  type TransportOptions,
  transportLimits,
} from "../../src/transport/http-transport.ts";
import type { Admission, Identity } from "../../src/transport/identity.ts";
import {
  createPeerServer,
  type PeerHandlers,
  type PeerServerLimits,
  peerServerLimits,
} from "../../src/transport/peer-server.ts";
import { n1, n2 } from "./arbitrary.ts";

export function identityOf(id: NodeId): Identity {
  const peerUrl = "http://127.0.0.1:1";
  return { cluster: "c1", id, incarnation: `${id}-first`, since: 0, life: 0, peerUrl };
}

export interface RunningServer {
  readonly app: FastifyInstance;
  readonly url: string;
  readonly port: number;
  readonly received: Message[];
  /** Clusters whose nodes took this one for another of its name. */
  readonly mistaken: readonly string[];
  /** How many POSTs arrived. */
  posts: number;
}

export interface RawServer {
  readonly url: string;
  readonly port: number;
  readonly sockets: Socket[];
}

interface ServerPlan {
  readonly id?: NodeId;
  readonly port?: number;
  readonly self?: Partial<Identity>;
  readonly admission?: Partial<Admission>;
  readonly handlers?: Partial<PeerHandlers>;
  readonly limits?: Partial<PeerServerLimits>;
}

interface TransportPlan {
  readonly self?: Partial<Identity>;
  readonly limits?: Partial<TransportLimits>;
  readonly readAt?: TransportOptions["readAt"];
  readonly random?: Random;
}

/** Starts things, and remembers them to be closed when the test ends. */
export class Lab {
  readonly #closers: (() => Promise<unknown>)[] = [];

  /** The peer server of n2, unless the plan says otherwise. */
  async server(plan: ServerPlan = {}): Promise<RunningServer> {
    const received: Message[] = [];
    const mistaken: string[] = [];
    const app = createPeerServer({
      self: { ...identityOf(plan.id ?? n2), ...plan.self },
      admission: { admit: () => "yes", ...plan.admission },
      handlers: { ...politeHandlers(received), ...plan.handlers },
      onMistaken: (cluster) => mistaken.push(cluster),
      limits: { ...peerServerLimits, ...plan.limits },
    });
    this.#closers.push(() => app.close());
    const url = await app.listen({ host: "127.0.0.1", port: plan.port ?? 0 });
    const { port } = app.server.address() as AddressInfo;
    const running: RunningServer = { app, url, port, received, mistaken, posts: 0 };
    app.server.on("request", () => {
      running.posts += 1;
    });
    return running;
  }

  /** A TCP server that treats each connection as it is told. */
  async raw(onConnection: (socket: Socket) => void, port = 0): Promise<RawServer> {
    const sockets: Socket[] = [];
    const server = createServer((socket) => {
      sockets.push(socket);
      socket.on("error", () => socket.destroy());
      onConnection(socket);
    });
    server.listen(port, "127.0.0.1");
    await once(server, "listening");
    this.#closers.push(() => closeRaw(server, sockets));
    const address = server.address() as AddressInfo;
    return { url: `http://127.0.0.1:${address.port}`, port: address.port, sockets };
  }

  /** A server that takes everything and never says a word. */
  hung(port = 0): Promise<RawServer> {
    return this.raw((socket) => socket.resume(), port);
  }

  /** An address where nobody listens. */
  async deadUrl(): Promise<string> {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    server.close();
    await once(server, "close");
    return `http://127.0.0.1:${port}`;
  }

  /** The transport of n1. */
  transport(plan: TransportPlan = {}) {
    const onUnreachable = vi.fn<(peer: NodeId) => void>();
    const onRefused = vi.fn<TransportOptions["onRefused"]>();
    const transport = new HttpTransport({
      self: { ...identityOf(n1), ...plan.self },
      limits: { ...transportLimits(100), backoffMinMs: 2, backoffMaxMs: 20, ...plan.limits },
      random: plan.random ?? new Prng("transport"),
      readAt: plan.readAt ?? (() => expectNoRead()),
      lifeOf: () => null,
      onUnreachable,
      onRefused,
    });
    this.#closers.push(() => transport.close());
    return { transport, onUnreachable, onRefused };
  }

  async close(): Promise<void> {
    for (const close of this.#closers.splice(0).reverse()) await close();
  }
}

function politeHandlers(received: Message[]): PeerHandlers {
  const term = 7 as Term;
  return {
    onMessages: (messages) => {
      received.push(...messages);
    },
    onForward: (_from, proposals) => {
      const positions = proposals.map((_, i) => ({ index: (10 + i) as Index, term }));
      return Promise.resolve({ type: "taken", term, positions });
    },
    onReadIndex: () =>
      Promise.resolve({ type: "confirmed", term, index: 12 as Index, byLease: false }),
    onHello: () => {
      const about = { name: n2, incarnation: "n2-first", clientUrl: "http://127.0.0.1:4002" };
      return Promise.resolve({ ...about, fresh: true, knownIncarnation: null, silentMs: null });
    },
    onSnapshotChunk: () => Promise.resolve({ type: "refused", reason: "not_wanted" }),
    onMembers: () => Promise.resolve({ type: "changed", result: { index: 13 as Index, term } }),
    onDigest: () => Promise.resolve({ chain: "00000000000000ff", page: null }),
  };
}

function expectNoRead(): never {
  throw new Error("nothing is to be read in this test");
}

async function closeRaw(server: Server, sockets: readonly Socket[]): Promise<void> {
  for (const socket of sockets) socket.destroy();
  if (!server.listening) return;
  server.close();
  await once(server, "close");
}

/** Waits until `condition` holds. */
export function until(condition: () => boolean, what: string): Promise<void> {
  return vi.waitFor(
    () => {
      if (!condition()) throw new Error(`not yet: ${what}`);
    },
    { timeout: 10_000, interval: 5 },
  );
}
