/** For clients that do not want a request forwarded: where to send it instead. */
import type { FastifyRequest } from "fastify";
import { ServiceError } from "../service/errors.ts";
import type { KvService } from "../service/kv-service.ts";
import { HeadedError } from "./headed-error.ts";
import { invalid } from "./query.ts";

/** The request belongs to the leader, at this URL. Answered by a 307: a 301 would lose the body. */
export class Elsewhere extends HeadedError {
  constructor(leader: string, location: string) {
    super(new ServiceError("NOT_LEADER", `the leader is ${leader}`), { location });
  }
}

/**
 * Throws ServiceError where the request needs the leader, which this is not, and says "never".
 * While no leader is known, it waits for one. Returns what is left of the request's time, in ms.
 */
export async function mustLead(
  service: KvService,
  { headers, raw }: FastifyRequest,
  timeoutMs: number,
): Promise<number> {
  const forward = headers["quorate-forward"];
  if (forward === undefined) return timeoutMs;
  if (forward !== "never") throw invalid('Quorate-Forward can only be "never"');
  const leftMs = await untilLeader(service, timeoutMs);
  const { leader, role } = service.leadership;
  if (role === "leader") return leftMs;
  // Lost again as soon as it was known.
  if (leader === null) throw new ServiceError("NO_LEADER", "no leader is known");
  const { leaderUrl } = service;
  if (leaderUrl !== null) throw new Elsewhere(leader, `${leaderUrl}${raw.url}`);
  throw new ServiceError("NOT_LEADER", `the leader is ${leader}, at an address not known here`);
}

/** Waits until a leader is known, as every read does. Returns what is left of the time, in ms. */
async function untilLeader(service: KvService, timeoutMs: number): Promise<number> {
  const until = performance.now() + timeoutMs;
  for (let leftMs = timeoutMs; ; leftMs = until - performance.now()) {
    if (service.leadership.leader !== null) return leftMs;
    const read = { consistency: "linearizable", maxStaleMs: null, minRevision: null } as const;
    try {
      await service.reached({ ...read, timeoutMs: leftMs });
    } catch (error) {
      // A leader that confirms nothing is known all the same: the client may ask it itself.
      if (service.leadership.leader === null) throw error;
    }
  }
}
