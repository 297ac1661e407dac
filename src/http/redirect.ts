/** For clients that do not want a request forwarded: where to send it instead. */
import type { FastifyRequest } from "fastify";
import { ServiceError } from "../service/errors.ts";
import type { KvService } from "../service/kv-service.ts";
import { invalid } from "./query.ts";

/** The request belongs to the leader, at this URL. Answered by a 307: a 301 would lose the body. */
export class Elsewhere extends ServiceError {
  readonly location: string;

  constructor(leader: string, location: string) {
    super("NOT_LEADER", `the leader is ${leader}`);
    this.location = location;
  }
}

/** Throws ServiceError where the request needs the leader, which this is not, and says "never". */
export function mustLead(service: KvService, { headers, raw }: FastifyRequest): void {
  const forward = headers["quorate-forward"];
  if (forward === undefined) return;
  if (forward !== "never") throw invalid('Quorate-Forward can only be "never"');
  const { leader, role } = service.leadership;
  if (role === "leader") return;
  if (leader === null) throw new ServiceError("NO_LEADER", "no leader is known");
  const { leaderUrl } = service;
  if (leaderUrl !== null) throw new Elsewhere(leader, `${leaderUrl}${raw.url}`);
  throw new ServiceError("NOT_LEADER", `the leader is ${leader}, at an address not known here`);
}
