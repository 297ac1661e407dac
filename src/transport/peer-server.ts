/**
 * The listener for peers: who speaks is checked from the headers, before the body is read; then the
 * body is decoded and handed over. Nothing a peer sends can do more than be refused.
 */
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import { assert, must } from "../lib/assert.ts";
import { MalformedError } from "../lib/bytes.ts";
import type { Message } from "../raft/message.ts";
import type { NodeId } from "../raft/types.ts";
import {
  type ChunkReply,
  decodeForward,
  decodeQuestion,
  decodeReadIndex,
  decodeSnapshotChunk,
  encodeChunkReply,
  encodeForwardReply,
  encodeHelloReply,
  encodeReadIndexReply,
  type ForwardReply,
  type HelloReply,
  type ReadIndexReply,
  type SnapshotChunk,
} from "./call-codec.ts";
import { decodeMessages } from "./codec.ts";
import {
  decodeDigestQuestion,
  type DigestQuestion,
  type DigestReply,
  encodeDigestReply,
} from "./digest-codec.ts";
import {
  type Admission,
  checkAddress,
  clusterOfMistaken,
  checkMember,
  type Identity,
  isPlainName,
  type Refusal,
  REFUSALS,
  type Sender,
} from "./identity.ts";
import {
  decodeMemberQuestion,
  encodeMemberReply,
  type MemberQuestion,
  type MemberReply,
} from "./member-codec.ts";
import {
  DIGEST_BODY_BYTES_MAX,
  FORWARD_BODY_BYTES_MAX,
  MEDIA_TYPE,
  MEMBERS_BODY_BYTES_MAX,
  MESSAGES_BODY_BYTES_MAX,
  PATHS,
  type PeerPath,
  QUESTION_BODY_BYTES_MAX,
  SNAPSHOT_BODY_BYTES_MAX,
} from "./protocol.ts";

/**
 * What is done with what peers say. A handler that throws or rejects has a bug, which ends the
 * process: whatever can happen in good order has a reply of its own.
 */
export interface PeerHandlers {
  /** In order, all from one node. */
  onMessages(messages: readonly Message[]): void;
  onForward(from: NodeId, proposals: readonly Uint8Array[]): Promise<ForwardReply>;
  /** `mayLease`: a lease will do. */
  onReadIndex(from: NodeId, mayLease: boolean): Promise<ReadIndexReply>;
  /** From any node of this cluster, member or not. */
  onHello(sender: Sender): Promise<HelloReply>;
  /** The same chunk may come again. It shares the request's memory, which is the handler's. */
  onSnapshotChunk(from: NodeId, chunk: SnapshotChunk): Promise<ChunkReply>;
  onMembers(from: NodeId, question: MemberQuestion): Promise<MemberReply>;
  onDigest(from: NodeId, question: DigestQuestion): Promise<DigestReply>;
}

export interface PeerServerOptions {
  readonly self: Identity;
  readonly admission: Admission;
  readonly handlers: PeerHandlers;
  readonly limits: PeerServerLimits;
  /** Nodes of another cluster take this one for their member of its name. */
  readonly onMistaken: (cluster: string) => void;
}

export interface PeerServerLimits {
  /** For a connection to say something, and for the headers of a request to arrive. */
  readonly headersTimeoutMs: number;
  /** For a whole request to arrive. */
  readonly requestTimeoutMs: number;
  /** For which an idle connection is kept. Longer than peers keep theirs. */
  readonly keepAliveTimeoutMs: number;
  readonly connectionsMax: number;
}

export const peerServerLimits: PeerServerLimits = {
  headersTimeoutMs: 5_000,
  // The largest body over the slowest link that a peer waits for, and some.
  requestTimeoutMs: 30_000,
  keepAliveTimeoutMs: 30_000,
  // Ten peers with all their lanes twice, as old connections may not have noticed their end.
  connectionsMax: 512,
};

/** Where a request keeps its Sender. */
const SENDER = "sender";
/** How often those deadlines are checked. Node's own 30 s would make them idle. */
const CHECK_MS = 500;

/** The listener, not yet listening. Close it with `close()`, which cuts its connections. */
export function createPeerServer(options: PeerServerOptions): FastifyInstance {
  const { self, limits } = options;
  assert(isPlainName(self.cluster), "not the name of a cluster");
  const app = Fastify({
    logger: false,
    bodyLimit: QUESTION_BODY_BYTES_MAX,
    requestTimeout: limits.requestTimeoutMs,
    keepAliveTimeout: limits.keepAliveTimeoutMs,
    forceCloseConnections: true,
    http: {
      headersTimeout: limits.headersTimeoutMs,
      connectionsCheckingInterval: Math.min(CHECK_MS, limits.headersTimeoutMs),
    },
  });
  app.server.maxConnections = limits.connectionsMax;
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(MEDIA_TYPE, { parseAs: "buffer" }, (_request, body, done) => {
    done(null, body);
  });
  app.decorateRequest(SENDER, null);
  app.addHook("onRequest", (request, reply, done) => {
    const sender = admit(options, request);
    if ("code" in sender) {
      void reply.code(REFUSALS[sender.code]).send({ code: sender.code, error: sender.text });
    } else {
      request.setDecorator(SENDER, sender);
      done();
    }
  });
  app.setNotFoundHandler((_request, reply) => {
    return reply.code(404).send({ code: "ROUTE_NOT_FOUND", error: "there is no such route" });
  });
  app.setErrorHandler(answerError);
  addMessages(app, options);
  addCalls(app, options);
  return app;
}

/** Who speaks, or why nobody listens. */
function admit(options: PeerServerOptions, request: FastifyRequest): Sender | Refusal {
  const sender = checkAddress(options.self, request.headers);
  if ("code" in sender) {
    const cluster = clusterOfMistaken(options.self, request.headers);
    if (cluster !== null) options.onMistaken(cluster);
    return sender;
  }
  const refusal = checkMember(sender, options.admission);
  // A node says hello to find out whether it may speak; who was removed must not begin anew.
  const isHello = request.routeOptions.url === PATHS.hello && refusal?.code !== "REMOVED";
  return isHello ? sender : (refusal ?? sender);
}

/** The hot path: decoded, handed over, answered. */
function addMessages(app: FastifyInstance, { self, handlers }: PeerServerOptions): void {
  app.post(PATHS.messages, { bodyLimit: MESSAGES_BODY_BYTES_MAX }, (request, reply) => {
    const { from } = senderOf(request);
    handlers.onMessages(decodeMessages(bytesOf(request), { from, to: self.id }));
    void reply.code(204).send();
  });
}

function addCalls(app: FastifyInstance, { handlers }: PeerServerOptions): void {
  const add = (path: PeerPath, bodyLimit: number, answer: Answer) => {
    app.post(path, { bodyLimit }, async (request, reply) => {
      const bytes = await answer(senderOf(request), bytesOf(request));
      return reply.type(MEDIA_TYPE).send(bytes);
    });
  };
  add(PATHS.forward, FORWARD_BODY_BYTES_MAX, async ({ from }, body) => {
    return encodeForwardReply(await handlers.onForward(from, decodeForward(body)));
  });
  add(PATHS.readIndex, QUESTION_BODY_BYTES_MAX, async ({ from }, body) => {
    return encodeReadIndexReply(await handlers.onReadIndex(from, decodeReadIndex(body)));
  });
  add(PATHS.hello, QUESTION_BODY_BYTES_MAX, async (sender, body) => {
    decodeQuestion(body);
    return encodeHelloReply(await handlers.onHello(sender));
  });
  add(PATHS.snapshot, SNAPSHOT_BODY_BYTES_MAX, async ({ from }, body) => {
    return encodeChunkReply(await handlers.onSnapshotChunk(from, decodeSnapshotChunk(body)));
  });
  add(PATHS.members, MEMBERS_BODY_BYTES_MAX, async ({ from }, body) => {
    return encodeMemberReply(await handlers.onMembers(from, decodeMemberQuestion(body)));
  });
  add(PATHS.digest, DIGEST_BODY_BYTES_MAX, async ({ from }, body) => {
    return encodeDigestReply(await handlers.onDigest(from, decodeDigestQuestion(body)));
  });
}

type Answer = (sender: Sender, body: Uint8Array) => Promise<Uint8Array>;

function senderOf(request: FastifyRequest): Sender {
  const sender = request.getDecorator<Sender | null>(SENDER);
  return must(sender, "a request whose sender was not checked");
}

function bytesOf(request: FastifyRequest): Uint8Array {
  if (request.body instanceof Uint8Array) return request.body;
  throw new MalformedError("there is no body");
}

/** What a request can have wrong is answered; all else is a bug, and the process must not go on. */
function answerError(error: unknown, _request: FastifyRequest, reply: FastifyReply): FastifyReply {
  if (error instanceof MalformedError) {
    return reply.code(400).send({ code: "MALFORMED", error: error.message });
  }
  const { statusCode, message } = error as { statusCode?: unknown; message?: unknown };
  if (typeof statusCode === "number" && statusCode >= 400 && statusCode < 500) {
    return reply
      .code(statusCode)
      .send({ code: CODES[statusCode] ?? "BAD_REQUEST", error: message });
  }
  process.nextTick(() => {
    throw error;
  });
  return reply.code(500).send({ code: "INTERNAL", error: "this node is broken and stops" });
}

const CODES: Readonly<Record<number, string>> = {
  408: "TIMEOUT",
  413: "BODY_TOO_LARGE",
  415: "UNSUPPORTED_MEDIA_TYPE",
};
