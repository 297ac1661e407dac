/** `/v1/watch`, and watches of single keys: section 5 of the HTTP API, over real connections. */
import { once } from "node:events";
import { type IncomingMessage, request as httpRequest } from "node:http";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { compact } from "../kv/fixtures.ts";
import { encodeCommand } from "../../src/kv/command.ts";
import type { Lab, LabNode } from "../service/lab.ts";
import { type Message, SseReader } from "../watch/validate.ts";
import { failureIn, Site } from "./site.ts";

const SSE = { accept: "text/event-stream" };
let site: Site;
let lab: Lab;
let node: LabNode;
let count = 0;
let key: string;
const streams: Stream[] = [];

/** A stream that is being read. */
class Stream {
  readonly response: IncomingMessage;
  readonly reader = new SseReader();
  isEnded = false;

  constructor(response: IncomingMessage) {
    this.response = response;
    response.setEncoding("utf8");
    response.on("data", (text: string) => this.reader.feed(text));
    response.on("error", () => {}); // A reset is an end, too.
    response.once("close", () => {
      this.isEnded = true;
    });
  }

  get messages(): readonly Message[] {
    return this.reader.messages;
  }

  /** Waits for so many events, without those of progress. */
  async events(length: number): Promise<readonly Message[]> {
    const found = () => this.messages.filter(({ event }) => event !== "progress");
    await vi.waitFor(() => expect(found().length).toBeGreaterThanOrEqual(length), 5_000);
    return found();
  }

  /** Waits for the first event of progress: the watch has begun, and is in step. */
  async greeted(): Promise<this> {
    await vi.waitFor(() => expect(this.messages.map(({ event }) => event)).toContain("progress"));
    return this;
  }
}

beforeAll(async () => {
  ({ site, lab, node } = await Site.alone({ lab: { limits: { watches: { watchersMax: 5 } } } }));
});

beforeEach(() => {
  key = `watch-${++count}`;
});

afterEach(async () => {
  for (const { response } of streams.splice(0)) response.destroy();
  await vi.waitFor(() => expect(node.service.watches.count).toBe(0));
});

afterAll(async () => {
  await site.close();
  await lab.close();
});

async function watch(path: string, headers: Readonly<Record<string, string>> = {}) {
  const port = await site.listen();
  const outgoing = httpRequest({ host: "127.0.0.1", port, path, headers, agent: false }).end();
  const [response] = (await once(outgoing, "response")) as [IncomingMessage];
  expect(response.statusCode).toBe(200);
  const stream = new Stream(response);
  streams.push(stream);
  return stream;
}

async function put(name: string, body: string): Promise<number> {
  const headers = { "content-type": "application/octet-stream" };
  const reply = await site.ask(`/v1/kv/${name}`, {
    method: "PUT",
    headers,
    body: Buffer.from(body, "latin1"),
  });
  return Number(reply.headers["quorate-revision"]);
}

async function del(name: string): Promise<number> {
  const reply = await site.ask(`/v1/kv/${name}`, { method: "DELETE" });
  return Number(reply.headers["quorate-revision"]);
}

describe("a watch from now on", () => {
  test("the stream is as section 5 shows it, to the letter", async () => {
    const port = await site.listen();
    const connection = await site.connect();
    connection.send(`GET /v1/watch?key=${key} HTTP/1.0\r\nhost: x:${port}\r\n\r\n`);
    const before = await connection.until(/event: progress/);
    const revision = await put(key, "1");
    const all = await connection.until(/event: put\ndata: .*\n\n/);
    connection.destroy();
    const progress = `id: ${revision - 1}\nevent: progress\ndata: {"revision":${revision - 1}}\n\n`;
    const data = `{"key":"${key}","value":"1","version":1,"mod_revision":${revision}`;
    const event = `id: ${revision}\nevent: put\ndata: ${data},"create_revision":${revision}}\n\n`;
    expect(before).toMatch(/^HTTP\/1\.1 200 OK\r\ncontent-type: text\/event-stream/i);
    expect(all.slice(all.indexOf("\r\n\r\n") + 4)).toBe(`retry: 1000\n\n${progress}${event}`);
  });

  test("tells nothing that was acknowledged before, and misses nothing after", async () => {
    for (let round = 0; round < 5; round++) {
      const before = await put(key, "before");
      const stream = await watch(`/v1/watch?key=${key}`);
      const after = await put(key, "after");
      const [first] = await stream.events(1);
      expect(first).toMatchObject({ id: after, event: "put", data: { value: "after" } });
      expect(after).toBeGreaterThan(before);
    }
  });

  test("puts and deletes under a prefix, with what was before", async () => {
    await put(`${key}/a`, "old");
    const stream = await watch(`/v1/watch?prefix=${key}/&prev`);
    await put(`${key}/a`, "new");
    await put(`other-${key}`, "x");
    const revision = await del(`${key}/a`);
    const [first, second] = await stream.events(2);
    expect(first?.data).toMatchObject({ value: "new", prev: { value: "old", version: 1 } });
    expect(second).toMatchObject({ event: "delete", id: revision });
    expect(second?.data).toMatchObject({ key: `${key}/a`, mod_revision: revision });
    expect(second?.data["prev"]).toMatchObject({ value: "new", version: 2 });
  });

  test("only the kinds that are asked for", async () => {
    const stream = await watch(`/v1/watch?key=${key}&events=delete,expire`);
    await put(key, "1");
    await del(key);
    expect(await stream.events(1)).toMatchObject([{ event: "delete" }]);
  });

  test("values that are no text are in base64", async () => {
    const stream = await watch(`/v1/watch?key=${key}`);
    await put(key, "\u00ff\u00fe");
    await put(key, "\u00c3\u00a9"); // UTF-8.
    const [bytes, text] = await stream.events(2);
    expect(bytes?.data).toMatchObject({ value: "//4=", encoding: "base64" });
    expect(text?.data["value"]).toBe("é");
    expect(text?.data).not.toHaveProperty("encoding");
  });

  test.each(["/keys/", "/v1/kv/"])("%s<key> is one where events are accepted", async (prefix) => {
    const stream = await watch(`${prefix}${key}`, SSE);
    const revision = await put(key, "1");
    expect(await stream.events(1)).toMatchObject([{ id: revision, data: { key } }]);
  });
});

describe("a watch from a revision on", () => {
  test("tells what came after it, and Last-Event-ID comes first", async () => {
    const first = await put(key, "1");
    const second = await put(key, "2");
    const third = await put(key, "3");
    const since = await watch(`/v1/watch?key=${key}&since=${first}`);
    expect((await since.events(2)).map(({ id }) => id)).toEqual([second, third]);
    const path = `/v1/watch?key=${key}&since=${first}`;
    const resumed = await watch(path, { "last-event-id": String(second) });
    expect((await resumed.events(1)).map(({ id }) => id)).toEqual([third]);
  });

  test("the future is waited for", async () => {
    const revision = await put(key, "1");
    const stream = await watch(`/v1/watch?key=${key}&since=${revision + 1}`);
    await put(key, "2");
    await put(key, "3");
    expect(await stream.events(1)).toMatchObject([{ id: revision + 2, data: { value: "3" } }]);
  });

  test("initial=true: what there is, synced, and what comes after", async () => {
    await put(`${key}/a`, "1");
    const revision = await put(`${key}/b`, "2");
    const path = `/v1/watch?prefix=${key}/&initial=true`;
    const stream = await watch(path);
    await stream.events(3);
    const next = await put(`${key}/c`, "3");
    const told = (await stream.events(4)).map(({ id, event, data }) => [id, event, data["key"]]);
    expect(told).toEqual([
      [null, "put", `${key}/a`],
      [null, "put", `${key}/b`],
      [revision, "synced", undefined],
      [next, "put", `${key}/c`],
    ]);
    const again = await watch(path, { "last-event-id": String(revision) });
    expect(await again.events(1)).toMatchObject([{ id: next }]);
  });

  test("410 where it is compacted", async () => {
    await put(key, "1");
    const revision = await put(key, "2");
    node.store.apply(encodeCommand(compact(revision)), node.store.clusterTime);
    const reply = await site.askOverTcp(`/v1/watch?key=${key}&since=${revision - 2}`);
    expect(failureIn(reply)).toMatchObject({ status: 410, code: "REVISION_COMPACTED" });
    const { details } = JSON.parse(reply.text) as { details: unknown };
    expect(details).toEqual({ oldest: revision, current: revision });
    const stream = await watch(`/v1/watch?key=${key}&since=${revision - 1}`);
    expect(await stream.events(1)).toMatchObject([{ id: revision }]);
  });
});

describe("bounds", () => {
  test("429 when there are as many watchers as may be", async () => {
    for (let i = 0; i < 5; i++) await watch(`/v1/watch?key=${key}`);
    const reply = await site.askOverTcp(`/v1/watch?key=${key}`);
    expect(failureIn(reply)).toMatchObject({ status: 429, code: "TOO_MANY_WATCHERS" });
    expect(reply.headers["retry-after"]).toBe("1");
  });

  test("a client that reads slowly is told everything in the end", async () => {
    const stream = await (await watch(`/v1/watch?key=${key}`)).greeted();
    stream.response.pause();
    const value = "v".repeat(256 * 1024);
    for (let i = 0; i < 40; i++) await put(key, value);
    stream.response.resume();
    const told = await stream.events(40);
    expect(told.map(({ data }) => data["version"])).toEqual(
      Array.from({ length: 40 }, (_, at) => at + 1),
    );
  });

  test.each([
    ["neither key nor prefix", "/v1/watch"],
    ["both", "/v1/watch?key=a&prefix=b"],
    ["an unknown kind", "/v1/watch?key=a&events=put,rename"],
    ["initial and since", "/v1/watch?key=a&initial&since=3"],
    ["initial without puts", "/v1/watch?key=a&initial&events=delete"],
    ["a misspelt parameter", "/v1/watch?key=a&sicne=3"],
  ])("400 for %s", async (_, path) => {
    const reply = await site.ask(path);
    expect(failureIn(reply)).toMatchObject({ status: 400, code: "INVALID_PARAM" });
  });

  test("400 for a Last-Event-ID that is none of ours", async () => {
    const reply = await site.ask("/v1/watch?key=a", { headers: { "last-event-id": "abc" } });
    expect(failureIn(reply)).toMatchObject({ status: 400, code: "INVALID_PARAM" });
  });

  test("the timeout of sockets does not cut a silent stream", async () => {
    const { site: quick, lab: other } = await Site.alone({ limits: { socketTimeoutMs: 100 } });
    const port = await quick.listen();
    const path = "/v1/watch?key=k";
    const outgoing = httpRequest({ host: "127.0.0.1", port, path, agent: false }).end();
    const [response] = (await once(outgoing, "response")) as [IncomingMessage];
    const stream = await new Stream(response).greeted();
    // Idle for several times as long, by a second connection that is cut as it should be.
    for (let i = 0; i < 3; i++) await (await quick.connect()).untilClosed();
    expect(stream.isEnded).toBe(false);
    response.destroy();
    await quick.close();
    await other.close();
  });
});

test("a failure in the middle of a revision comes last, after whole events", async () => {
  const { site: other, lab: otherLab, node: closing } = await Site.alone();
  const port = await other.listen();
  const names = Array.from({ length: 40 }, (_, at) => `large/${at}`);
  // Far more than the buffers of a connection hold.
  const body = Buffer.alloc(1024 * 1024, 1);
  for (const name of names) {
    const headers = { "content-type": "application/octet-stream" };
    await other.ask(`/v1/kv/${name}`, { method: "PUT", headers, body });
  }
  const path = "/v1/watch?prefix=large/&prev";
  const outgoing = httpRequest({ host: "127.0.0.1", port, path, agent: false }).end();
  const [response] = (await once(outgoing, "response")) as [IncomingMessage];
  const stream = await new Stream(response).greeted();
  response.pause();
  await other.ask("/v1/kv?prefix=large/", { method: "DELETE" });
  await vi.waitFor(() => expect(response.readableLength).toBeGreaterThan(0));
  closing.service.watches.close();
  response.resume();
  await vi.waitFor(() => expect(stream.isEnded).toBe(true), 10_000);
  const told = stream.messages.filter(({ event }) => event !== "progress");
  expect(told.at(-1)).toMatchObject({ event: "error", data: { code: "SHUTTING_DOWN" } });
  expect(told.length).toBeGreaterThan(1);
  expect(told.length).toBeLessThan(names.length);
  for (const { event, id } of told.slice(0, -1)) expect([event, id]).toEqual(["delete", null]);
  await other.close();
  await otherLab.close();
}, 30_000);

test("a node that shuts down says so, and ends the stream", async () => {
  const { site: other, lab: otherLab, node: closing } = await Site.alone();
  const port = await other.listen();
  const path = "/v1/watch?prefix=";
  const outgoing = httpRequest({ host: "127.0.0.1", port, path, agent: false }).end();
  const [response] = (await once(outgoing, "response")) as [IncomingMessage];
  const stream = await new Stream(response).greeted();
  closing.service.watches.close();
  await vi.waitFor(() => expect(stream.isEnded).toBe(true));
  expect(stream.messages.at(-1)).toMatchObject({ event: "error", data: { code: "SHUTTING_DOWN" } });
  expect(response.complete).toBe(true);
  await other.close();
  await otherLab.close();
});
