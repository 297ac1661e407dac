/** Rules of the HTTP API about nodes that do not lead, and about clusters without a leader. */
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { keyOf } from "../../src/kv/key.ts";
import { Lab, type LabNode } from "../service/lab.ts";
import { errorIn, Site } from "./site.ts";

let lab: Lab;
let follower: LabNode;
let site: Site;

beforeAll(async () => {
  lab = await Lab.start(["n1", "n2", "n3"]);
  await lab.leader();
  follower = await lab.follower();
  site = new Site(follower.id);
  site.holder.serve(follower.service);
});

afterAll(async () => {
  await site.close();
  await lab.close();
});

const OWN = ["/livez", "/readyz", "/v1/status", "/version", "/openapi.json", "/docs"];

/** What came of a stream until all patterns were in it. */
async function streamed(path: string, patterns: readonly RegExp[]): Promise<string> {
  const stop = new AbortController();
  const reply = await fetch(`http://127.0.0.1:${await site.listen()}${path}`, {
    signal: stop.signal,
  });
  let text = "";
  for await (const chunk of reply.body ?? []) {
    text += Buffer.from(chunk as Uint8Array).toString();
    if (patterns.every((pattern) => pattern.test(text))) break;
  }
  stop.abort();
  return text;
}

describe("a node that does not lead", () => {
  test.each(OWN)("%s is answered by itself, and never forwarded (section 2)", async (url) => {
    lab.calls.length = 0;
    const reply = await site.ask(url, { headers: { "quorate-forward": "never" } });
    expect(reply.status).toBe(200);
    expect(reply.headers["quorate-node"]).toBe(follower.id);
    expect(lab.calls).toEqual([]);
  });

  test("serves watches from its own state (section 5)", async () => {
    await site.ask("/keys/w/", { method: "PUT", body: { value: "1" } });
    const text = await streamed("/v1/watch?key=w&since=0", [/event: put/, /event: progress/]);
    expect(text).toMatch(/^retry: 1000\n\nid: \d+\nevent: put\ndata: \{"key":"w","value":"1"/);
  });

  test("tells of an expiry, which is an entry of its own (section 6)", async () => {
    const body = { value: "1", ttl: 0.2 };
    const written = await site.ask("/keys/e/", { method: "PUT", body });
    const since = Number(written.headers["quorate-revision"]);
    const text = await streamed(`/v1/watch?key=e&since=${since}`, [/event: expire\ndata: .*\n\n/]);
    const [, id, data = ""] = /id: (\d+)\nevent: expire\ndata: (.*)\n/.exec(text) ?? [];
    expect(Number(id)).toBeGreaterThan(since);
    expect(JSON.parse(data)).toEqual({ key: "e", mod_revision: Number(id) });
    // The same on every node, as it is in the log.
    await vi.waitFor(() => {
      for (const { store } of lab.nodes) expect(store.get(keyOf(Buffer.from("e")))).toBeNull();
    });
    expect(new Set(lab.nodes.map(({ store }) => store.revision))).toEqual(new Set([Number(id)]));
  });

  test("answers a long poll when another node writes (section 2)", async () => {
    const leader = await lab.leader();
    const there = new Site(leader.id);
    there.holder.serve(leader.service);
    const { revision } = JSON.parse((await site.ask("/v1/status")).text) as { revision: number };
    const waiting = site.ask(`/v1/kv/polled?since=${revision}&wait=20s`);
    await vi.waitFor(() => expect(follower.service.watches.count).toBe(1));
    await there.ask("/keys/polled/", { method: "PUT", body: { value: "2" } });
    expect(JSON.parse((await waiting).text)).toMatchObject({ value: "2" });
    await there.close();
  });
});

describe("without a leader", () => {
  beforeAll(async () => {
    lab.cut(follower.id);
    await vi.waitFor(() => expect(follower.service.leadership.leader).toBeNull(), 5_000);
  });

  test("readyz is a 503 that names the check, and livez is not (section 2)", async () => {
    const ready = await site.ask("/readyz?verbose");
    expect(ready.status).toBe(503);
    expect(ready.text).toContain("[-] leader\n");
    expect(ready.text).toContain("[+] started\n");
    expect((await site.ask("/readyz")).status).toBe(503);
    expect((await site.ask("/livez")).status).toBe(200);
  });

  test.each(OWN.filter((url) => url !== "/readyz"))("%s is answered (section 2)", async (url) => {
    expect((await site.ask(url)).status).toBe(200);
  });

  test("a request waits for one for 5 s, unless it says otherwise (sections 1 and 7)", async () => {
    const began = performance.now();
    const reply = await site.ask("/keys/k/", { method: "PUT", body: { value: "lost" } });
    expect(performance.now() - began).toBeGreaterThan(4_900);
    expect(performance.now() - began).toBeLessThan(8_000);
    expect(reply.status).toBe(503);
    expect(errorIn(reply)).toMatchObject({ code: "NO_LEADER", outcome: "not_applied" });
    expect(reply.headers["retry-after"]).toBe("1");
    expect(reply.headers).not.toHaveProperty("quorate-leader");
  });
});
