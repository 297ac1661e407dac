/** The listener for clients: bounds first, then routes, and JSON for whatever goes wrong. */
import { randomBytes } from "node:crypto";
import type { IncomingMessage } from "node:http";
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import { ServiceError } from "../service/errors.ts";
import { addAdminRoutes } from "./admin-routes.ts";
import { addBatchRoutes } from "./batch-routes.ts";
import { BodyReceiver } from "./body-receiver.ts";
import { addClusterRoutes } from "./cluster-routes.ts";
import { answerParserError, limitConnections, refuseExpectations } from "./connections.ts";
import type { RouteDeps } from "./data-routes.ts";
import { addDocsRoutes } from "./docs-routes.ts";
import { asServiceError } from "./errors.ts";
import { addKeysRoutes } from "./keys-routes.ts";
import { addKvRoutes } from "./kv-routes.ts";
import {
  CHECK_MS,
  type ClientServerLimits,
  HEADER_BYTES_MAX,
  JSON_BODY_BYTES_MAX,
  PIPELINED_MAX,
  URL_CHARS_MAX,
} from "./limits.ts";
import { limitPipelines } from "./pipelines.ts";
import { addListRoutes } from "./list-routes.ts";
import { Responder } from "./responses.ts";
import type { ServiceHolder } from "./service-holder.ts";
import { addLeaseRoutes } from "./lease-routes.ts";
import { addLockRoutes } from "./lock-routes.ts";
import { addTxnRoutes } from "./txn-routes.ts";
import { type About, addStatusRoutes } from "./status-routes.ts";
import { Unsent } from "./unsent.ts";
import { pathOf, urlOf } from "./url.ts";
import { addWatchRoutes } from "./watch-routes.ts";

export interface ClientServerOptions {
  readonly about: About;
  /** Filled in when the node runs. Until then, requests about data are told to wait. */
  readonly holder: ServiceHolder;
  readonly limits: ClientServerLimits;
  /** Told of a bug: the process must end. */
  readonly fatal: (error: unknown) => void;
}

/** The listener, not yet listening. `close()` waits for what is under way. */
export function createClientServer(options: ClientServerOptions): FastifyInstance {
  const { about, holder, limits, fatal } = options;
  const responder = new Responder(about.name, holder, new Unsent(limits.unsentBytesMax));
  const nextId = requestIds();
  const answerError = (error: unknown, request: FastifyRequest, reply: FastifyReply): void => {
    const known = asServiceError(error);
    if (known === null) fatal(error);
    const bug = new ServiceError("INTERNAL", "this node has a bug, and stops");
    void responder.fail(request, reply, known ?? bug);
  };
  const answerTo = (error: ServiceError) => responder.outsideRoutes(error, nextId());
  const app = Fastify({
    ...bounds(limits),
    genReqId: ({ headers }: IncomingMessage) => saneId(headers["request-id"]) ?? nextId(),
    clientErrorHandler: (error, socket) => {
      answerParserError(error, socket, answerTo);
    },
    frameworkErrors: answerError,
  });
  limitConnections(app.server, limits, answerTo);
  refuseExpectations(app.server, answerTo);
  receiveBodies(app, limits.receivingBytesMax);
  app.setErrorHandler(answerError);
  app.setNotFoundHandler(() => {
    throw noRoute();
  });
  limitPipelines(app, PIPELINED_MAX);
  checkRequests(app, responder);
  addRoutes(app, { holder, responder }, about);
  return app;
}

/** Adds every route there is. */
export function addRoutes(app: FastifyInstance, deps: RouteDeps, about: About): void {
  addKeysRoutes(app, deps);
  addKvRoutes(app, deps);
  addWatchRoutes(app, deps);
  addListRoutes(app, deps);
  addBatchRoutes(app, deps);
  addTxnRoutes(app, deps);
  addLeaseRoutes(app, deps);
  addLockRoutes(app, deps);
  addAdminRoutes(app, deps);
  addClusterRoutes(app, deps, about);
  addStatusRoutes(app, deps, about);
  addDocsRoutes(app, deps, about);
}

function bounds(limits: ClientServerLimits) {
  return {
    logger: false,
    requestTimeout: limits.requestTimeoutMs,
    connectionTimeout: limits.socketTimeoutMs,
    keepAliveTimeout: limits.keepAliveTimeoutMs,
    maxRequestsPerSocket: limits.requestsPerSocketMax,
    // Every handler ends by a deadline of its own.
    handlerTimeout: 0,
    // Those that come late are told in JSON.
    return503OnClosing: false,
    routerOptions: { maxParamLength: URL_CHARS_MAX },
    http: {
      headersTimeout: limits.headersTimeoutMs,
      connectionsCheckingInterval: Math.min(CHECK_MS, limits.headersTimeoutMs),
      maxHeaderSize: HEADER_BYTES_MAX,
      // Checked below, and answered in JSON.
      requireHostHeader: false,
    },
  };
}

/**
 * Whatever the type: what a body must be depends on the route. One that cannot be received is no
 * error here, as Fastify would then cut the connection before the client has seen the answer.
 */
function receiveBodies(app: FastifyInstance, bytesMax: number): void {
  const bodies = new BodyReceiver(bytesMax);
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", (_request, payload, done) => {
    bodies.receive(payload, JSON_BODY_BYTES_MAX, (body) => done(null, body));
  });
}

/** Before anything else is looked at, and before the body is read. */
function checkRequests(app: FastifyInstance, responder: Responder): void {
  const methods = new Map<string, string[]>();
  app.addHook("onRoute", ({ path, method }) => {
    methods.set(path, [...(methods.get(path) ?? []), ...[method].flat()]);
  });
  app.addHook("onRequest", (request, reply, done) => {
    const url = urlOf(request);
    if (url.length > URL_CHARS_MAX) {
      const text = `a URL has at most ${URL_CHARS_MAX} characters`;
      return done(new ServiceError("URL_TOO_LONG", text));
    }
    if (request.headers.host === undefined && request.raw.httpVersion === "1.1") {
      return done(new ServiceError("INVALID_REQUEST", "the Host header is missing"));
    }
    if (!request.is404) return done();
    const allowed = methodsFor(methods, pathOf(url));
    if (request.method !== "OPTIONS" && allowed === null) return done(noRoute());
    if (allowed !== null) reply.header("allow", allowed);
    if (request.method === "OPTIONS") {
      void responder.send(request, reply, { status: 204, headers: {}, body: null });
      return;
    }
    done(new ServiceError("METHOD_NOT_ALLOWED", `${request.method} is not for this route`));
  });
}

/** What may be done at a path; null: there is nothing. */
function methodsFor(routes: ReadonlyMap<string, readonly string[]>, path: string): string | null {
  for (const [route, methods] of routes) {
    const isHere = route.endsWith("*") ? path.startsWith(route.slice(0, -1)) : path === route;
    if (isHere) return [...methods, "OPTIONS"].join(", ");
  }
  return null;
}

function noRoute(): ServiceError {
  return new ServiceError("ROUTE_NOT_FOUND", "there is no such route");
}

/** Names for requests that have none: unlike those of any other node or start. */
function requestIds(): () => string {
  const prefix = randomBytes(6).toString("hex");
  let count = 0;
  return () => {
    count += 1;
    return `${prefix}-${count.toString(36)}`;
  };
}

/** The client's own name for a request, if it fits into a header and a line of a log. */
function saneId(id: string | string[] | undefined): string | null {
  return typeof id === "string" && /^[\w.:+/=~-]{1,128}$/.test(id) ? id : null;
}
