/** Who is a member and who leads: shown by any node, and changed through any of them. */
import type { FastifyInstance, FastifyRequest } from "fastify";
import type { MemberView } from "../service/cluster-view.ts";
import { ServiceError } from "../service/errors.ts";
import type { KvService } from "../service/kv-service.ts";
import { memberName, namedChange } from "../service/member-wishes.ts";
import type { MemberChanges } from "../service/members.ts";
import { jsonFields, noBody, optionalFields } from "./body.ts";
import { addIn, changesIn, targetIn } from "./cluster-bodies.ts";
import { type DataHandler, dataRoute, type RouteDeps } from "./data-routes.ts";
import { refuseConditions } from "./list-routes.ts";
import { invalid, queryReader } from "./query.ts";
import { anyParams, idempotencyKeyOf, timeoutOf } from "./request-options.ts";
import type { Answer, Headers } from "./responses.ts";
import { type About, noQuery } from "./status-routes.ts";
import { pathOf, urlOf } from "./url.ts";

const MEMBERS = "/v1/cluster/members";

export const changeQuery = queryReader(anyParams);

/** Adds `/v1/cluster`, `/v1/cluster/members…` and `/v1/cluster/leader`. */
export function addClusterRoutes(app: FastifyInstance, deps: RouteDeps, about: About): void {
  const whole = (service: KvService) => ({ cluster_id: about.cluster(), ...describe(service) });
  const show = (answer: (service: KvService, url: string) => unknown): DataHandler => {
    return async (service, request) => {
      noQuery(urlOf(request));
      return jsonAnswer(200, answer(service, pathOf(urlOf(request))));
    };
  };
  const change = (wanted: (request: FastifyRequest) => MemberChanges): DataHandler => {
    return async (service, request) => {
      await changed(service, request, wanted(request));
      return jsonAnswer(200, whole(service));
    };
  };
  app.get("/v1/cluster", dataRoute(deps, show(whole)));
  app.get(
    MEMBERS,
    dataRoute(
      deps,
      show((service) => ({ members: membersOf(service) })),
    ),
  );
  app.get(`${MEMBERS}/*`, dataRoute(deps, show(memberAt)));
  app.post(
    MEMBERS,
    dataRoute(deps, async (service, request) => {
      const wanted = addIn(jsonFields(request));
      if (await changed(service, request, [wanted])) return jsonAnswer(200, whole(service));
      return jsonAnswer(201, whole(service), { location: `${MEMBERS}/${wanted.id}` });
    }),
  );
  app.patch(
    MEMBERS,
    dataRoute(
      deps,
      change((request) => changesIn(jsonFields(request))),
    ),
  );
  app.delete(`${MEMBERS}/*`, dataRoute(deps, change(removalIn)));
  app.post(`${MEMBERS}/*`, dataRoute(deps, change(roleChangeIn)));
  app.get("/v1/cluster/leader", dataRoute(deps, show(leaderOf)));
  app.post("/v1/cluster/leader", dataRoute(deps, transfer));
}

/** Returns whether there was nothing to do. */
function changed(
  service: KvService,
  request: FastifyRequest,
  changes: MemberChanges,
): Promise<boolean> {
  const { timeout } = changeQuery(urlOf(request));
  refuseHeaders(request);
  return service.changeMembers(changes, timeoutOf(request.headers, timeout));
}

/** What they would ask for is not done here, and must not seem to be. */
function refuseHeaders(request: FastifyRequest): void {
  refuseConditions(request);
  if (idempotencyKeyOf(request.headers) === null) return;
  throw invalid("an Idempotency-Key is for writes: ask who is a member before you try again");
}

async function transfer(service: KvService, request: FastifyRequest): Promise<Answer> {
  const { timeout } = changeQuery(urlOf(request));
  refuseHeaders(request);
  const target = targetIn(optionalFields(request));
  await service.transferLeadership(target, timeoutOf(request.headers, timeout));
  return jsonAnswer(200, leaderOf(service));
}

function removalIn(request: FastifyRequest): MemberChanges {
  noBody(request);
  return [namedChange("remove", nameIn(pathOf(urlOf(request))))];
}

function roleChangeIn(request: FastifyRequest): MemberChanges {
  const [, path = "", type] = /^(.+)\/(promote|demote)$/.exec(pathOf(urlOf(request))) ?? [];
  if (type !== "promote" && type !== "demote") throw noRoute();
  noBody(request);
  return [namedChange(type, nameIn(path))];
}

function nameIn(path: string): string {
  const name = path.slice(MEMBERS.length + 1);
  if (name.includes("/")) throw noRoute();
  return memberName(name);
}

function noRoute(): ServiceError {
  return new ServiceError("ROUTE_NOT_FOUND", "there is no such route");
}

function describe(service: KvService) {
  const view = service.members.view();
  return {
    leader: view.leader,
    term: view.term,
    configuration_index: view.configurationIndex,
    committed: view.committed,
    changing: view.changing,
    members: view.members.map(describeMember),
  };
}

function membersOf(service: KvService) {
  return service.members.view().members.map(describeMember);
}

function memberAt(service: KvService, path: string) {
  const name = nameIn(path);
  const found = membersOf(service).find((member) => member.name === name);
  if (found === undefined) throw new ServiceError("MEMBER_NOT_FOUND", `${name} is no member`);
  return found;
}

function describeMember({ progress, ...member }: MemberView) {
  return {
    name: member.name,
    role: member.role,
    outgoing: member.outgoing,
    joining: member.joining,
    peer_url: member.peerUrl,
    client_url: member.clientUrl,
    incarnation: member.incarnation,
    since: member.since,
    matched: progress?.matched ?? null,
    lag: progress?.lag ?? null,
    last_contact_ms: progress === null ? null : Math.ceil(progress.lastContactMs),
    keeps_up: progress?.keepsUp ?? null,
    in_doubt: progress?.inDoubt ?? null,
  };
}

function leaderOf(service: KvService) {
  const { leader, term } = service.leadership;
  if (leader !== null) return { leader, client_url: service.leaderUrl, term };
  throw new ServiceError("NO_LEADER", "no leader is known: an election is under way");
}

function jsonAnswer(status: number, body: unknown, headers: Headers = {}): Answer {
  return { status, headers, body: JSON.stringify(body) };
}
