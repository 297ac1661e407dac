/** What a node says of itself, from before it runs until after it is told to stop. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Lab, type LabNode } from "../service/lab.ts";
import { failureIn, type Question, Site } from "./site.ts";

let site: Site;
let lab: Lab;
let node: LabNode;

beforeEach(async () => {
  lab = await Lab.start(["n1"]);
  site = new Site("n1");
  node = await lab.leader();
});

afterEach(async () => {
  await site.close();
  await lab.close();
});

const dataRequests: readonly (Question & { readonly url: string })[] = [
  { url: "/keys/k/" },
  { url: "/keys/k/?consistency=stale" },
  { url: "/keys/k/", method: "PUT", body: { value: "v" } },
  { url: "/keys/k/", method: "DELETE" },
  { url: "/v1/kv/k" },
  { url: "/v1/kv/k", method: "PUT", body: { value: "v" } },
  { url: "/v1/kv/k", method: "DELETE" },
];

async function ready(): Promise<{ status: number; text: string }> {
  const { status, text } = await site.ask("/readyz?verbose");
  return { status, text };
}

describe("before the node runs", () => {
  test.each(dataRequests)("$method $url is told to wait", async ({ url, ...question }) => {
    const reply = await site.ask(url, question);
    expect(failureIn(reply)).toEqual({ status: 503, code: "NOT_READY", outcome: "not_applied" });
    expect(reply.headers).toMatchObject({ "retry-after": "1", "quorate-node": "n1" });
    expect(reply.headers).not.toHaveProperty("quorate-term");
  });

  test("it lives, but is not ready", async () => {
    expect(await site.ask("/livez")).toMatchObject({ status: 200, text: "ok\n" });
    expect(await ready()).toEqual({
      status: 503,
      text: "[-] started\n[+] not-stopping\n[+] same-state\n[+] member\nnot ready\n",
    });
    expect(await site.ask("/readyz")).toMatchObject({ status: 503, text: "not ready\n" });
    expect(failureIn(await site.ask("/v1/status"))).toMatchObject({ code: "NOT_READY" });
    expect(JSON.parse((await site.ask("/version")).text)).toEqual({ version: "1.2.3", api: "v1" });
  });

  test("what it waits for, it tells everybody who asks", async () => {
    site.holder.waitFor("the others");
    for (const path of ["/keys/k/", "/v1/status"]) {
      const { text } = await site.ask(path);
      expect(JSON.parse(text)).toMatchObject({
        code: "NOT_READY",
        error: "waiting for the others",
      });
    }
    expect((await ready()).text).toContain("[-] started: waiting for the others\n");
    site.holder.waitFor(null);
    expect(JSON.parse((await site.ask("/v1/status")).text)).toMatchObject({
      error: "this node is starting",
    });
  });
});

describe("a node that runs", () => {
  test("is ready", async () => {
    site.holder.serve(node.service);
    const names = [
      "started",
      "leader",
      "caught-up",
      "certain",
      "disk",
      "not-stopping",
      "same-state",
      "member",
    ];
    await vi.waitFor(async () => {
      expect(await ready()).toEqual({
        status: 200,
        text: `${names.map((name) => `[+] ${name}\n`).join("")}ready\n`,
      });
    });
    const reply = await site.ask("/readyz");
    expect(reply).toMatchObject({ status: 200, text: "ready\n" });
    expect(reply.headers["content-type"]).toBe("text/plain; charset=utf-8");
    expect(await site.ask("/readyz", { method: "HEAD" })).toMatchObject({ status: 200, text: "" });
  });

  test("tells how it is doing", async () => {
    site.holder.serve(node.service);
    await site.ask("/keys/k/", { method: "PUT", body: { value: "v" } });
    const reply = await site.ask("/v1/status");
    expect(reply.status).toBe(200);
    expect(JSON.parse(reply.text)).toMatchObject({
      name: "n1",
      client_url: "http://n1.test:4001",
      version: "1.2.3",
      role: "leader",
      term: 1,
      leader: "n1",
      leader_url: "http://n1.test:4001",
      last_contact_ms: 0,
      in_doubt: false,
      disk_hangs: false,
      revision: 2,
      keys: 1,
      digest: { commands: 1, chain: node.store.digest, agreed: null },
      log: { first: 1, last: 2, committed: 2, applied: 2, snapshot: 0 },
      scrub: { rounds: 2, damages: 1 },
      voters: ["n1"],
      learners: [],
      removed: false,
      quarantined: false,
    });
    const { p50, p99, max } = JSON.parse(reply.text).loop_delay_ms;
    expect(p50).toBeLessThanOrEqual(p99);
    expect(p99).toBeLessThanOrEqual(max);
  });

  test.each(["/livez", "/readyz", "/v1/status", "/version"])(
    "%s takes no other parameter",
    async (url) => {
      site.holder.serve(node.service);
      const reply = await site.ask(`${url}?x=1`);
      expect(failureIn(reply)).toMatchObject({ status: 400, code: "INVALID_PARAM" });
    },
  );
});

describe("a node that is told to stop", () => {
  test.each(dataRequests)("$method $url is sent elsewhere", async ({ url, ...question }) => {
    site.holder.serve(node.service);
    site.holder.stop();
    const reply = await site.ask(url, question);
    expect(failureIn(reply)).toEqual({
      status: 503,
      code: "SHUTTING_DOWN",
      outcome: "not_applied",
    });
    expect(reply.headers["retry-after"]).toBe("1");
    expect(node.store.revision).toBe(1);
  });

  test("is not ready, and still tells how it is doing", async () => {
    site.holder.serve(node.service);
    site.holder.stop();
    const { status, text } = await ready();
    expect(status).toBe(503);
    expect(text).toContain("[-] not-stopping\n");
    expect((await site.ask("/livez")).status).toBe(200);
    expect((await site.ask("/v1/status")).status).toBe(200);
  });

  test("finishes what is under way", async () => {
    site.holder.serve(node.service);
    const put = vi.spyOn(node.service, "write");
    const write = site.ask("/keys/k/", { method: "PUT", body: { value: "v" } });
    await vi.waitFor(() => expect(put).toHaveBeenCalled());
    site.holder.stop();
    await site.app.close();
    expect((await write).status).toBe(200);
  });
});

describe("a node whose state is wrong (D4)", () => {
  const why = "its state is wrong: start it anew";

  test.each(dataRequests)("$method $url is refused, with what to do", async ({ url, ...about }) => {
    site.holder.serve(node.service);
    site.holder.quarantine(why);
    const reply = await site.ask(url, about);
    expect(failureIn(reply)).toEqual({ status: 503, code: "CORRUPT", outcome: "not_applied" });
    expect(JSON.parse(reply.text)).toMatchObject({ error: why, retryable: true });
    expect(node.store.revision).toBe(1);
  });

  test("is not ready, says why, and still tells how it is doing", async () => {
    site.holder.serve(node.service);
    site.holder.quarantine(why);
    const { status, text } = await ready();
    expect(status).toBe(503);
    expect(text).toContain(`[-] same-state: ${why}\n`);
    expect((await site.ask("/livez")).status).toBe(200);
    expect(JSON.parse((await site.ask("/v1/status")).text)).toMatchObject({
      ready: false,
      quarantined: true,
      removed: false,
    });
  });
});

test("a node that was removed tells so, as its role alone does not", async () => {
  site.holder.serve(node.service);
  site.holder.remove("it was removed");
  expect(JSON.parse((await site.ask("/v1/status")).text)).toMatchObject({
    ready: false,
    quarantined: false,
    removed: true,
  });
});

test("a bug is told to the program, and to nobody else", async () => {
  const bug = new Error("secret");
  site.holder.serve(node.service);
  vi.spyOn(node.service, "get").mockRejectedValue(bug);
  const reply = await site.ask("/keys/k/");
  expect(failureIn(reply)).toEqual({ status: 500, code: "INTERNAL", outcome: "unknown" });
  expect(reply.text).not.toContain("secret");
  expect(site.fatal).toHaveBeenCalledExactlyOnceWith(bug);
  site.fatal.mockClear();
});
