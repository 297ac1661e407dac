/** How this node is doing: answered by every node for itself, at any time, and never forwarded. */
import { monitorEventLoopDelay } from "node:perf_hooks";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { KvService } from "../service/kv-service.ts";
import type { RouteDeps } from "./data-routes.ts";
import { flag, queryReader } from "./query.ts";
import type { Answer } from "./responses.ts";
import { urlOf } from "./url.ts";

/** What the routes say of the program. */
export interface About {
  readonly name: string;
  readonly clientUrl: string;
  readonly version: string;
  /** The name of the cluster; null: the node is not part of one yet. */
  readonly cluster: () => string | null;
}

export const noQuery = queryReader({});
export const readyQuery = queryReader({ verbose: flag() });
/** How finely the event loop's delay is measured, in milliseconds. */
const DELAY_RESOLUTION_MS = 10;
const TEXT = { "content-type": "text/plain; charset=utf-8" };

/** Adds `/livez`, `/readyz`, `/v1/status` and `/version`. */
export function addStatusRoutes(app: FastifyInstance, deps: RouteDeps, about: About): void {
  const { holder, responder } = deps;
  const delay = monitorEventLoopDelay({ resolution: DELAY_RESOLUTION_MS });
  delay.enable();
  app.addHook("onClose", () => {
    delay.disable();
  });
  const add = (path: string, answer: (url: string) => Answer) => {
    app.get(path, (request: FastifyRequest, reply: FastifyReply) => {
      return responder.send(request, reply, answer(urlOf(request)));
    });
  };
  add("/livez", (url) => {
    noQuery(url);
    return { status: 200, headers: TEXT, body: "ok\n" };
  });
  add("/readyz", (url) => readiness(checks(deps), readyQuery(url).verbose));
  add("/version", (url) => {
    noQuery(url);
    return {
      status: 200,
      headers: {},
      body: JSON.stringify({ version: about.version, api: "v1" }),
    };
  });
  add("/v1/status", (url) => {
    noQuery(url);
    const { service } = holder;
    if (service === null) throw holder.notStarted();
    const isReady = checks(deps).every(({ ok }) => ok);
    const status = {
      ...statusOf(service, about),
      removed: holder.removed !== null,
      quarantined: holder.wrong !== null,
      loop_delay_ms: delayOf(delay),
      ready: isReady,
    };
    const body = JSON.stringify(status);
    return { status: 200, headers: {}, body };
  });
}

interface Check {
  readonly name: string;
  readonly ok: boolean;
  /** Why it is not, and what to do. */
  readonly why?: string | null;
}

/** Whatever would keep a request waiting, or have it refused. */
function checks({ holder }: RouteDeps): readonly Check[] {
  const { service, isStopping, wrong, removed, waiting } = holder;
  return [
    { name: "started", ok: service !== null, why: waiting },
    ...(service?.checks() ?? []),
    { name: "not-stopping", ok: !isStopping },
    { name: "same-state", ok: wrong === null, why: wrong },
    { name: "member", ok: removed === null, why: removed },
  ];
}

function readiness(all: readonly Check[], isVerbose: boolean): Answer {
  const isReady = all.every(({ ok }) => ok);
  const word = isReady ? "ready" : "not ready";
  const lines = all.map(({ name, ok, why }) => {
    return `[${ok ? "+" : "-"}] ${name}${why ? `: ${why}` : ""}`;
  });
  const text = isVerbose ? [...lines, word] : [word];
  return { status: isReady ? 200 : 503, headers: TEXT, body: `${text.join("\n")}\n` };
}

/** How long the event loop was held, beyond the interval of measuring, since the start. */
function delayOf(delay: ReturnType<typeof monitorEventLoopDelay>) {
  const beyond = (ns: number) => Math.max(0, Math.round(ns / 1e6) - DELAY_RESOLUTION_MS);
  return {
    p50: beyond(delay.percentile(50)),
    p99: beyond(delay.percentile(99)),
    max: beyond(delay.max),
  };
}

function statusOf(service: KvService, about: About) {
  const raft = service.raftStatus();
  const store = service.storeStatus();
  return {
    name: about.name,
    client_url: about.clientUrl,
    version: about.version,
    role: raft.role,
    term: raft.term,
    leader: raft.leader,
    leader_url: service.leaderUrl,
    last_contact_ms: raft.lastContactMs === null ? null : Math.ceil(raft.lastContactMs),
    in_doubt: raft.inDoubt,
    disk_hangs: raft.diskHangs,
    revision: store.revision,
    compact_revision: store.compactRevision,
    keys: store.keys,
    key_bytes: store.keyBytes,
    history_bytes: store.historyBytes,
    digest: { commands: store.commands, chain: store.digest, agreed: store.agreed },
    log: {
      first: raft.firstIndex,
      last: raft.lastIndex,
      committed: raft.committed,
      applied: raft.applied,
      snapshot: raft.snapshotIndex,
      bytes: raft.logBytes,
    },
    scrub: service.scrubStatus(),
    voters: raft.configuration.voters,
    learners: raft.configuration.learners,
  };
}
