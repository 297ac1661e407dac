/** Members and leadership over HTTP (http-api.md, section 2), at a leader and through followers. */
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import type { NodeId } from "../../src/raft/types.ts";
import { Lab, type LabNode } from "../service/lab.ts";
import { errorIn, failureIn, type Question, type Reply, Site } from "./site.ts";

let lab: Lab;
let leader: LabNode;
let follower: LabNode;
let site: Site;
let behind: Site;

function siteOf(node: LabNode): Site {
  const made = new Site(node.id);
  made.holder.serve(node.service);
  return made;
}

beforeAll(async () => {
  lab = await Lab.start(["n1", "n2", "n3"]);
});

beforeEach(async () => {
  leader = await lab.leader();
  follower = await lab.follower();
  site = siteOf(leader);
  behind = siteOf(follower);
  return async () => {
    await site.close();
    await behind.close();
  };
});

afterAll(() => lab.close());

const MEMBERS = "/v1/cluster/members";
const n4 = { name: "n4", peer_url: "http://n4.test:5001", role: "learner", incarnation: "first" };

interface MemberBody {
  readonly name: string;
  readonly role: string;
}

interface ClusterBody {
  readonly members: readonly MemberBody[];
}

function bodyOf<Body>(reply: Reply): Body {
  return JSON.parse(reply.text) as Body;
}

/** `n1 n2 n3 +n4`: voters, and learners with a plus. */
function seatsIn(reply: Reply): string {
  const { members } = bodyOf<ClusterBody>(reply);
  return members.map(({ name, role }) => (role === "learner" ? `+${name}` : name)).join(" ");
}

function post(url: string, body: Question["body"] = ""): readonly [string, Question] {
  return [url, { method: "POST", body }];
}

describe("GET /v1/cluster", () => {
  test("shows the members, and at the leader how far each is", async () => {
    const reply = await site.ask("/v1/cluster");
    expect(reply.status).toBe(200);
    const { members, ...cluster } = bodyOf<ClusterBody>(reply);
    const term = expect.any(Number) as number;
    expect(cluster).toEqual({
      cluster_id: "test",
      leader: leader.id,
      term,
      configuration_index: 0,
      committed: leader.service.raftStatus().committed,
      changing: false,
    });
    expect(members.map(({ name }) => name)).toEqual(["n1", "n2", "n3"]);
    expect(members.find(({ name }) => name === follower.id)).toEqual({
      name: follower.id,
      role: "voter",
      outgoing: false,
      joining: false,
      peer_url: "",
      client_url: `http://${follower.id}.test:4001`,
      incarnation: "",
      since: 0,
      matched: leader.service.raftStatus().lastIndex,
      lag: 0,
      last_contact_ms: expect.any(Number) as number,
      keeps_up: true,
      in_doubt: false,
    });
    expect(members.find(({ name }) => name === leader.id)).toMatchObject({
      last_contact_ms: 0,
      lag: 0,
    });
  });

  test("shows at another node who they are, and not how far", async () => {
    lab.calls.length = 0;
    const { members } = bodyOf<ClusterBody>(await behind.ask("/v1/cluster"));
    const unknown = { matched: null, lag: null, last_contact_ms: null, keeps_up: null };
    for (const member of members) expect(member).toMatchObject({ ...unknown, in_doubt: null });
    expect(members.length).toBe(3);
    expect(lab.calls).toEqual([]);
  });

  test("GET /v1/cluster/members and one of them show the same", async () => {
    const all = bodyOf<ClusterBody>(await behind.ask(MEMBERS)).members;
    expect(all).toEqual(bodyOf<ClusterBody>(await behind.ask("/v1/cluster")).members);
    const one = await behind.ask(`${MEMBERS}/n2`);
    expect(bodyOf<MemberBody>(one)).toEqual(all.find(({ name }) => name === "n2"));
    const none = await behind.ask(`${MEMBERS}/n9`);
    expect(failureIn(none)).toMatchObject({ status: 404, code: "MEMBER_NOT_FOUND" });
  });
});

describe("members change through any node", () => {
  test("POST adds one, once, and DELETE removes it", async () => {
    const added = await behind.ask(...post(MEMBERS, n4));
    expect(added.status).toBe(201);
    expect(added.headers["location"]).toBe(`${MEMBERS}/n4`);
    expect(seatsIn(added)).toBe("n1 n2 n3 +n4");
    expect(bodyOf(added)).toMatchObject({ cluster_id: "test", changing: false });
    const again = await behind.ask(...post(MEMBERS, n4));
    expect(again.status).toBe(200);
    const other = await behind.ask(...post(MEMBERS, { ...n4, incarnation: "second" }));
    expect(failureIn(other)).toMatchObject({ status: 409, code: "MEMBER_EXISTS" });
    const elsewhere = await behind.ask(...post(MEMBERS, { ...n4, name: "n5" }));
    expect(failureIn(elsewhere)).toMatchObject({ status: 409, code: "MEMBER_EXISTS" });
    const removed = await behind.ask(`${MEMBERS}/n4`, { method: "DELETE" });
    expect(removed.status).toBe(200);
    expect(seatsIn(removed)).toBe("n1 n2 n3");
    const gone = await behind.ask(`${MEMBERS}/n4`, { method: "DELETE" });
    expect(failureIn(gone)).toMatchObject({ status: 404, code: "MEMBER_NOT_FOUND" });
  });

  test("a voter that is added is a learner that joins", async () => {
    const { role: _, incarnation: __, ...voter } = n4;
    const added = await site.ask(...post(MEMBERS, voter));
    const { members } = bodyOf<ClusterBody>(added);
    const found = members.find(({ name }) => name === "n4");
    expect(found).toMatchObject({ role: "learner", joining: true, incarnation: "" });
    await site.ask(`${MEMBERS}/n4`, { method: "DELETE" });
  });

  test("POST …/demote and …/promote change what a member is", async () => {
    const demoted = await behind.ask(...post(`${MEMBERS}/${follower.id}/demote`));
    expect(demoted.status).toBe(200);
    expect(seatsIn(demoted)).toContain(`+${follower.id}`);
    const promoted = await behind.ask(...post(`${MEMBERS}/${follower.id}/promote`));
    expect(promoted.status).toBe(200);
    expect(seatsIn(promoted)).toBe("n1 n2 n3");
  });

  test("PATCH makes all changes in one step, or none", async () => {
    const change = (body: Question["body"] & object) => {
      return behind.ask(MEMBERS, { method: "PATCH", body });
    };
    const first = await change({ add: [n4], demote: [follower.id] });
    expect(first.status).toBe(200);
    expect(seatsIn(first)).toContain("+n4");
    expect(seatsIn(first)).toContain(`+${follower.id}`);
    const none = await change({ promote: [follower.id], remove: ["n9"] });
    expect(failureIn(none)).toMatchObject({ status: 404, code: "MEMBER_NOT_FOUND" });
    expect(seatsIn(await site.ask("/v1/cluster"))).toContain(`+${follower.id}`);
    const moved = { name: "n4", peer_url: "http://n4.test:5002" };
    expect((await change({ move: [moved] })).text).toContain("http://n4.test:5002");
    const last = await change({ promote: [follower.id], remove: ["n4"] });
    expect(seatsIn(last)).toBe("n1 n2 n3");
  });

  test("UNSAFE_CHANGE: whoever does not keep up does not become a voter", async () => {
    await site.ask(...post(MEMBERS, n4));
    const reply = await behind.ask(...post(`${MEMBERS}/n4/promote`));
    expect(failureIn(reply)).toEqual({
      status: 409,
      code: "UNSAFE_CHANGE",
      outcome: "not_applied",
    });
    expect(errorIn(reply).error).toContain("n4 must catch up");
    await site.ask(`${MEMBERS}/n4`, { method: "DELETE" });
  });

  test("a change that cannot be through in time is unknown, and others wait for it", async () => {
    const third = lab.nodes.find(({ id }) => id !== leader.id && id !== follower.id);
    lab.isLost = ({ to, type }) => type === "append" && to !== leader.id;
    const late = await site.ask(`${MEMBERS}?timeout=50ms`, { method: "POST", body: n4 });
    expect(failureIn(late)).toEqual({ status: 504, code: "COMMIT_TIMEOUT", outcome: "unknown" });
    const second = await site.ask(...post(`${MEMBERS}/${third?.id}/demote`));
    expect(failureIn(second)).toMatchObject({ status: 409, code: "CONFIG_CHANGE_IN_PROGRESS" });
    expect(errorIn(second).retryable).toBe(true);
    lab.isLost = () => false;
    await vi.waitFor(async () => {
      const reply = await site.ask(`${MEMBERS}/n4`, { method: "DELETE" });
      expect([200, 404]).toContain(reply.status);
    }, 5_000);
  });
});

describe("what is wrong is refused in one sentence, and changes nothing", () => {
  const url = "http://n4.test:5001";
  const wrongBodies: readonly (readonly [string, Question["method"], string])[] = [
    ["", "POST", `{"peer_url":"${url}"}`],
    ["", "POST", '{"name":"n4"}'],
    ["", "POST", `{"name":"n 4","peer_url":"${url}"}`],
    ["", "POST", `{"name":"","peer_url":"${url}"}`],
    ["", "POST", `{"name":4,"peer_url":"${url}"}`],
    ["", "POST", '{"name":"n4","peer_url":"n4.test:5001"}'],
    ["", "POST", '{"name":"n4","peer_url":"http://n4.test/raft"}'],
    ["", "POST", `{"name":"n4","peer_url":"http://${"h".repeat(300)}"}`],
    ["", "POST", `{"name":"n4","peer_url":"${url}","role":"leader"}`],
    ["", "POST", `{"name":"n4","peer_url":"${url}","incarnation":"a b"}`],
    ["", "POST", `{"name":"n4","peer_url":"${url}","incarnation":""}`],
    // Every node tells its own.
    ["", "POST", `{"name":"n4","peer_url":"${url}","client_url":"${url}"}`],
    ["", "PATCH", "{}"],
    ["", "PATCH", '{"remove":"n2"}'],
    ["", "PATCH", '{"remove":[{"name":"n2"}]}'],
    ["", "PATCH", '{"add":["n4"]}'],
    ["", "PATCH", '{"move":[{"name":"n2"}]}'],
    ["", "PATCH", `{"move":[{"name":"n2","peer_url":"${url}","role":"voter"}]}`],
    ["", "PATCH", `{"remove":[${Array.from({ length: 65 }, (_, at) => `"x${at}"`).join()}]}`],
    ["/n2", "DELETE", '{"force":true}'],
    ["/n%20", "DELETE", ""],
    ["/n2/promote", "POST", "{}"],
  ];

  test.each(wrongBodies)("%s %s %s", async (path, method = "GET", body) => {
    const before = leader.service.raftStatus().configurationIndex;
    const question = body === "" ? { method } : { method, body };
    const reply = await behind.ask(`${MEMBERS}${path}`, question);
    expect(failureIn(reply)).toMatchObject({ status: 400, code: "INVALID_PARAM" });
    expect(leader.service.raftStatus().configurationIndex).toBe(before);
  });

  test.each(["if-match", "idempotency-key"])("%s, which would not be heeded", async (header) => {
    const reply = await behind.ask(`${MEMBERS}/n2`, {
      method: "DELETE",
      headers: { [header]: "x" },
    });
    expect(failureIn(reply)).toMatchObject({ status: 400, code: "INVALID_PARAM" });
  });

  test("a member that is named twice in one change", async () => {
    const body = { promote: ["n2"], remove: ["n2"] };
    const reply = await behind.ask(MEMBERS, { method: "PATCH", body });
    expect(failureIn(reply)).toMatchObject({ status: 400, code: "INVALID_REQUEST" });
    expect(errorIn(reply).error).toBe("n2 is named twice in one change");
  });

  test.each(["/n2/vote", "/n2/promote/now", "/"])("there is no route %s", async (path) => {
    const reply = await behind.ask(...post(`${MEMBERS}${path}`));
    expect(failureIn(reply)).toMatchObject({ status: 404, code: "ROUTE_NOT_FOUND" });
  });
});

describe("/v1/cluster/leader", () => {
  test("GET says who leads, and where clients find it", async () => {
    const { term } = leader.service.raftStatus();
    const expected = { leader: leader.id, client_url: `http://${leader.id}.test:4001`, term };
    expect(bodyOf(await behind.ask("/v1/cluster/leader"))).toEqual(expected);
  });

  test("POST hands over to a target, through any node", async () => {
    const third = lab.nodes.find(({ id }) => id !== leader.id && id !== follower.id);
    const reply = await behind.ask(...post("/v1/cluster/leader", { target: third?.id ?? "" }));
    expect(reply.status).toBe(200);
    expect(bodyOf(reply)).toMatchObject({ leader: third?.id });
    expect((await lab.leader()).id).toBe(third?.id);
  });

  test("POST without a body hands over to somebody else", async () => {
    const reply = await behind.ask("/v1/cluster/leader", { method: "POST" });
    expect(reply.status).toBe(200);
    expect(bodyOf<{ leader: string }>(reply).leader).not.toBe(leader.id);
  });

  test.each([
    ["n9", 404, "MEMBER_NOT_FOUND"],
    ["n 9", 400, "INVALID_PARAM"],
  ])("POST with the target %s is refused", async (target, status, code) => {
    const reply = await behind.ask(...post("/v1/cluster/leader", { target }));
    expect(failureIn(reply)).toMatchObject({ status, code });
    expect((await lab.leader()).id).toBe(leader.id);
  });

  test("UNSAFE_CHANGE: a target that does not answer", async () => {
    const third = lab.nodes.find(({ id }) => id !== leader.id && id !== follower.id);
    const id = third?.id as NodeId;
    lab.cut(id);
    await vi.waitFor(async () => {
      const reply = await behind.ask(...post("/v1/cluster/leader?timeout=1s", { target: id }));
      expect(failureIn(reply)).toMatchObject({ status: 409, code: "UNSAFE_CHANGE" });
    }, 10_000);
    lab.heal();
  });

  test("503 where no leader is known", async () => {
    lab.cut(follower.id);
    await vi.waitFor(() => expect(follower.service.leadership.leader).toBeNull(), 5_000);
    const shown = await behind.ask("/v1/cluster/leader");
    expect(failureIn(shown)).toMatchObject({ status: 503, code: "NO_LEADER" });
    const asked = await behind.ask("/v1/cluster/leader?timeout=50ms", { method: "POST" });
    expect(failureIn(asked)).toMatchObject({ status: 503, code: "NO_LEADER" });
    lab.heal();
  });
});

test("410 at a node that was removed, whatever is asked", async () => {
  const gone = new Site(follower.id);
  gone.holder.serve(follower.service);
  gone.holder.remove("this node was removed from the cluster: stop it");
  for (const url of ["/keys/k/", "/v1/cluster", MEMBERS, "/v1/cluster/leader"]) {
    const reply = await gone.ask(url);
    expect(failureIn(reply)).toMatchObject({ status: 410, code: "MEMBER_REMOVED" });
  }
  const ready = await gone.ask("/readyz?verbose");
  expect(ready.status).toBe(503);
  expect(ready.text).toContain("[-] member: this node was removed");
  await gone.close();
});
