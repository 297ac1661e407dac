/** How a request wants to be served: consistency, time, and who is to serve it. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Lab, type LabNode } from "../service/lab.ts";
import { errorIn, failureIn, type Question, type Reply, Site } from "./site.ts";

let lab: Lab;
let leader: LabNode;
let follower: LabNode;
/** In front of the follower. */
let site: Site;

beforeEach(async () => {
  lab = await Lab.start(["n1", "n2", "n3"]);
  leader = await lab.leader();
  follower = await lab.follower();
  site = new Site(follower.id);
  site.holder.serve(follower.service);
});

afterEach(async () => {
  await site.close();
  await lab.close();
});

function put(value: string, url = "/keys/k/", more: Question = {}): Promise<Reply> {
  return site.ask(url, { method: "PUT", body: { value }, ...more });
}

async function cutOff(node = follower): Promise<void> {
  lab.cut(node.id);
  await vi.waitFor(() => expect(node.service.leadership.leader).toBeNull(), 5_000);
}

describe("any node", () => {
  test("takes writes and linearizable reads, and names the leader", async () => {
    const written = await put("v");
    expect(written.status).toBe(200);
    expect(written.headers).toMatchObject({
      "quorate-node": follower.id,
      "quorate-leader": `http://${leader.id}.test:4001`,
    });
    const read = await site.ask("/keys/k/");
    expect(read.text).toBe('{"value":"v"}');
    expect(read.headers["quorate-consistency"]).toBe("linearizable");
    expect(Number(read.headers["quorate-term"])).toBeGreaterThan(0);
  });

  test("reads its own writes, even stale", async () => {
    for (let round = 0; round < 20; round++) {
      await put(String(round));
      const read = await site.ask("/keys/k/?consistency=stale");
      expect(read.text).toBe(`{"value":"${round}"}`);
    }
  });
});

describe("consistency=stale", () => {
  test("works without a leader, and says how old it may be", async () => {
    await put("v");
    const near = await site.ask("/keys/k/?consistency=stale");
    expect(near.headers["quorate-consistency"]).toBe("stale");
    expect(Number(near.headers["quorate-last-contact-ms"])).toBeLessThan(1_000);
    await cutOff();
    const read = await site.ask("/v1/kv/k?consistency=stale");
    expect(JSON.parse(read.text)).toMatchObject({ value: "v" });
    expect(Number(read.headers["quorate-last-contact-ms"])).toBeGreaterThan(50);
    expect(read.headers).not.toHaveProperty("quorate-leader");
  });

  test("max_stale bounds how old", async () => {
    expect((await site.ask("/keys/k/?consistency=stale&max_stale=5s")).status).toBe(200);
    await cutOff();
    const reply = await site.ask("/keys/k/?consistency=stale&max_stale=50ms");
    expect(failureIn(reply)).toEqual({ status: 503, code: "TOO_STALE", outcome: "not_applied" });
    expect(reply.headers["retry-after"]).toBe("1");
  });

  test("an ex-leader answers as a follower does (section 4)", async () => {
    await put("v");
    const there = new Site(leader.id);
    there.holder.serve(leader.service);
    await cutOff(leader);
    const read = await there.ask("/keys/k/?consistency=stale&max_stale=60s");
    expect(read).toMatchObject({ status: 200, text: '{"value":"v"}' });
    // It has led until it had heard nobody for as long as an election takes.
    expect(Number(read.headers["quorate-last-contact-ms"])).toBeGreaterThan(50);
    expect(Number(read.headers["quorate-last-contact-ms"])).toBeLessThan(10_000);
    const late = await there.ask("/keys/k/?consistency=stale&max_stale=50ms");
    expect(failureIn(late)).toMatchObject({ status: 503, code: "TOO_STALE" });
    await there.close();
  });

  test.each([
    ["/keys/none/?strict&", 404],
    ["/v1/kv/none?", 404],
    ["/v1/kv?prefix=none&since=0&wait=1ms&", 304],
  ])("%s says so, too, where there is nothing (section 1)", async (url, status) => {
    const reply = await site.ask(`${url}consistency=stale`);
    expect(reply.status).toBe(status);
    expect(reply.headers["quorate-consistency"]).toBe("stale");
    expect(Number(reply.headers["quorate-last-contact-ms"])).toBeLessThan(1_000);
    const fresh = await site.ask(url);
    expect(fresh.status).toBe(status);
    expect(fresh.headers).not.toHaveProperty("quorate-last-contact-ms");
  });

  test("max_stale without it is a mistake", async () => {
    const reply = await site.ask("/keys/k/?max_stale=5s");
    expect(failureIn(reply)).toMatchObject({ status: 400, code: "INVALID_PARAM" });
  });
});

describe("min_revision", () => {
  test("waits until the node has it", async () => {
    const { revision } = await leader.service.write(
      {
        type: "put",
        key: "k" as never,
        value: new TextEncoder().encode("v"),
        conditions: [],
        returnPrevious: false,
      },
      5_000,
    );
    const url = `/keys/k/?consistency=stale&min_revision=${revision}`;
    expect((await site.ask(url)).text).toBe('{"value":"v"}');
  });

  test("that does not come is a 504, which says how far the node is", async () => {
    for (const consistency of ["stale", "linearizable"]) {
      const query = `consistency=${consistency}&min_revision=99&timeout=100ms`;
      const reply = await site.ask(`/keys/k/?${query}`);
      expect(reply.status).toBe(504);
      expect(errorIn(reply)).toMatchObject({
        code: "REVISION_NOT_REACHED",
        outcome: "not_applied",
        details: { current: 1 },
      });
    }
  });
});

describe("without a leader", () => {
  test.each(["timeout=100ms", "timeout=0.1s"])("%s ends a request", async (query) => {
    await cutOff();
    for (const method of ["GET", "PUT", "DELETE"] as const) {
      const began = performance.now();
      const body = method === "PUT" ? { body: { value: "lost" } } : {};
      const reply = await site.ask(`/keys/k/?${query}`, { method, ...body });
      expect(failureIn(reply)).toEqual({ status: 503, code: "NO_LEADER", outcome: "not_applied" });
      expect(reply.headers["retry-after"]).toBe("1");
      expect(errorIn(reply)).toMatchObject({ leader: null, retryable: true });
      expect(performance.now() - began).toBeGreaterThan(95);
      expect(performance.now() - began).toBeLessThan(1_000);
    }
    lab.heal();
    await lab.leader();
    expect((await site.ask("/keys/k/")).text).toBe('{"value":""}');
  });

  test("so does Quorate-Timeout-Ms", async () => {
    await cutOff();
    const reply = await site.ask("/keys/k/", { headers: { "quorate-timeout-ms": "100" } });
    expect(failureIn(reply)).toMatchObject({ status: 503, code: "NO_LEADER" });
  });

  test("a write that may have gone through is never called not applied", async () => {
    lab.onForwarded = () => {
      lab.cut(leader.id);
      return Promise.resolve();
    };
    const reply = await put("v");
    expect(failureIn(reply)).toEqual({ status: 504, code: "FORWARD_FAILED", outcome: "unknown" });
    expect(errorIn(reply).retryable).toBe(false);
    expect(reply.headers).not.toHaveProperty("retry-after");
  });
});

describe("Quorate-Forward: never", () => {
  const headers = { "quorate-forward": "never" };

  test.each(["/keys/a%2Fb/?timeout=1s", "/v1/kv/k"])("%s: go there", async (url) => {
    await vi.waitFor(() => {
      for (const { ok } of follower.service.checks()) expect(ok).toBe(true);
    });
    lab.calls.length = 0;
    for (const method of ["GET", "PUT", "DELETE"] as const) {
      const body = method === "PUT" ? { body: { value: "v" } } : {};
      const reply = await site.ask(url, { method, headers, ...body });
      expect(reply.status).toBe(307);
      expect(reply.headers["location"]).toBe(`http://${leader.id}.test:4001${url}`);
      expect(errorIn(reply)).toMatchObject({ code: "NOT_LEADER", outcome: "not_applied" });
    }
    expect(lab.calls).toEqual([]);
  });

  test("a stale read needs no leader", async () => {
    const reply = await site.ask("/keys/k/?consistency=stale", { headers });
    expect(reply.status).toBe(200);
  });

  test("the leader serves it", async () => {
    const there = new Site(leader.id);
    there.holder.serve(leader.service);
    const reply = await there.ask("/keys/k/", { method: "PUT", body: { value: "v" }, headers });
    expect(reply.status).toBe(200);
    await there.close();
  });

  const needLeader = [
    { method: "PUT", url: "/keys/k/?", body: { value: "v" } },
    { method: "DELETE", url: "/v1/kv?prefix=k&" },
    { method: "GET", url: "/v1/kv/k?" },
    { method: "GET", url: "/v1/kv?prefix=k&" },
    { method: "POST", url: "/v1/locks/k?", body: { ttl: 30 } },
    { method: "DELETE", url: "/v1/leases/7?" },
  ] as const;
  const askAll = (at: Site, timeout: string) =>
    needLeader.map(({ url, ...question }) =>
      at.ask(`${url}timeout=${timeout}`, { ...question, headers }),
    );

  test("without a leader a request waits for one until its timeout (section 7)", async () => {
    await cutOff();
    const began = performance.now();
    for (const reply of await Promise.all(askAll(site, "200ms"))) {
      expect(failureIn(reply)).toEqual({ status: 503, code: "NO_LEADER", outcome: "not_applied" });
    }
    expect(performance.now() - began).toBeGreaterThan(195);
    expect(performance.now() - began).toBeLessThan(2_000);
  });

  test("and is told where to go when there is one again (section 7)", async () => {
    await cutOff();
    let answered = 0;
    const waiting = askAll(site, "30s").map((asked) => asked.finally(() => (answered += 1)));
    expect(failureIn(await put("v", "/keys/o/?timeout=50ms")).code).toBe("NO_LEADER");
    expect(answered).toBe(0);
    lab.heal();
    for (const reply of await Promise.all(waiting)) {
      expect(reply.status).toBe(307);
      expect(reply.headers["location"]).toMatch(/^http:\/\/n[123]\.test:4001\/.*timeout=30s$/);
    }
  });

  test("of nodes that wait for a leader, the one that becomes it serves the request", async () => {
    const sites = lab.nodes.map(({ id, service }) => {
      const there = new Site(id);
      there.holder.serve(service);
      return there;
    });
    for (const { id } of lab.nodes) lab.cut(id);
    await vi.waitFor(() => {
      for (const { service } of lab.nodes) expect(service.leadership.leader).toBeNull();
    }, 5_000);
    const question = { method: "PUT", body: { value: "v" }, headers } as const;
    const waiting = sites.map((there) => there.ask("/keys/k/?timeout=30s", question));
    lab.heal();
    const statuses = (await Promise.all(waiting)).map(({ status }) => status);
    expect(statuses.sort((a, b) => a - b)).toEqual([200, 307, 307]);
    for (const there of sites) await there.close();
  });
});
