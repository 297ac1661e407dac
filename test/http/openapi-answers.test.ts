/** Every operation of the document is asked for: answers and errors are as it says, strictly. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { RESPONSE_HEADERS } from "../../src/http/openapi/headers.ts";
import { watchEvent } from "../../src/http/openapi/answers.ts";
import { OPERATIONS } from "../../src/http/openapi/document.ts";
import { Lab } from "../service/lab.ts";
import { type Case, errors, JSON_A, locked, successes } from "./openapi-cases.ts";
import { askAs, described, fits, operation } from "./openapi-check.ts";
import { errorIn, type Reply, Site } from "./site.ts";

let site: Site;
let lab: Lab;
/** All headers that any answer here had. */
const seen = new Set<string>();

beforeAll(async () => {
  ({ site, lab } = await Site.alone());
});

afterAll(async () => {
  await site.close();
  await lab.close();
});

const BAD_QUERY = { status: 400 } as const;

async function run(one: (typeof described)[number], { status, before = [], ...asked }: Case) {
  for (const { url, ...question } of before) await site.ask(url, question);
  const { methods: _, ...question } = asked;
  const reply = await askAs(site, one, question);
  expect(`${question.url} ${reply.status}`).toBe(`${question.url} ${status}`);
  for (const name of Object.keys(reply.headers)) seen.add(name);
  if (status >= 400 && one.method !== "head") errorIn(reply);
}

function casesFor({ operation: { id }, method }: (typeof described)[number], among: typeof errors) {
  const cases = among[id] ?? [];
  return cases.filter(({ methods = [method] }) => methods.includes(method));
}

const ended = described.filter(({ operation: { isStream } }) => isStream === undefined);

/** Where nothing else is said, the example succeeds. */
function successesOf(one: (typeof described)[number]): readonly Case[] {
  const { id, example } = one.operation;
  return successes[id] === undefined
    ? [{ url: example.url, status: 200 }]
    : casesFor(one, successes);
}

/** The token that renews a lock comes with the lock: see below. */
const succeeding = ended.filter(({ operation: { id } }) => id !== "renewLock");

describe.each(succeeding)("$name", (one) => {
  test("answers as the document says", async () => {
    expect(successesOf(one)).not.toEqual([]);
    for (const question of successesOf(one)) await run(one, question);
  });
});

describe.each(ended)("$name", (one) => {
  test("refuses a parameter that is not described, as the document says", async () => {
    const [path = ""] = one.operation.example.url.split("?");
    const { body } = one.operation.example;
    const url = `${path}?no-such-parameter=1`;
    await run(one, { url, ...BAD_QUERY, ...(body !== undefined && { body }) });
  });
});

describe.each(ended.filter((one) => casesFor(one, errors).length > 0))("$name", (one) => {
  test("fails as the document says", async () => {
    for (const question of casesFor(one, errors)) await run(one, question);
  });
});

test("every operation but a stream, and those of the node itself, has an error of its own", () => {
  const own = OPERATIONS.filter(({ tag }) => tag !== "the node").map(({ id }) => id);
  expect(Object.keys(errors).sort()).toEqual([...own].sort());
  const named = Object.keys(successes).filter((id) => !OPERATIONS.some((one) => one.id === id));
  expect(named).toEqual([]);
});

test.each(["watch", "backup"])("%s refuses as the document says", async (id) => {
  for (const question of errors[id] ?? []) {
    await run({ operation: operation(id), method: "get", name: id }, question);
  }
});

test("GET /v1/admin/backup streams as the document says", async () => {
  for (const url of ["/v1/admin/backup", "/v1/admin/backup?consistency=stale"]) {
    const reply = await askAs(site, { operation: operation("backup"), method: "get" }, { url });
    expect(reply.status).toBe(200);
    for (const name of Object.keys(reply.headers)) seen.add(name);
  }
});

test("PUT /v1/locks/{name} renews with the token that came with the lock", async () => {
  const { url, ...question } = locked("renewed");
  const { token } = JSON.parse((await site.ask(url, question)).text) as { token: number };
  const one = { operation: operation("renewLock"), method: "put" } as const;
  const reply = await askAs(site, one, { url, body: { token, ttl: 60 } });
  expect(reply.status).toBe(200);
  const release = { operation: operation("releaseLock"), method: "delete" } as const;
  expect((await askAs(site, release, { url: `${url}?token=${token}` })).text).toBe(
    '{"released":true}',
  );
});

test.each(["watch", "getValue", "getKey"])(
  "%s streams events that are as the document says",
  async (id) => {
    await site.ask("/keys/streamed/", { method: "PUT", body: JSON_A });
    await site.ask("/keys/streamed/", { method: "DELETE" });
    const urls: Record<string, string> = {
      watch: "/v1/watch?prefix=streamed&since=0&prev",
      getValue: "/keys/streamed/?since=0&prev",
      getKey: "/v1/kv/streamed?since=0&prev",
    };
    const stop = new AbortController();
    const { status, headers, body } = await fetch(
      `http://127.0.0.1:${await site.listen()}${urls[id]}`,
      { headers: { accept: "text/event-stream" }, signal: stop.signal },
    );
    let text = "";
    const decoder = new TextDecoder();
    for await (const chunk of body ?? []) {
      text += decoder.decode(chunk as Uint8Array);
      if (/event: delete/.test(text) && /event: progress\ndata: .*\n\n/.test(text)) break;
    }
    stop.abort();
    const told = Object.fromEntries(headers.entries());
    for (const name of Object.keys(told)) seen.add(name);
    const reply: Reply = { status, headers: told, text, bytes: new Uint8Array() };
    fits(operation(id), "get", reply);
    const data = [...text.matchAll(/^data: (.*)$/gm)].map(([, json = ""]) => JSON.parse(json));
    expect(data.length).toBeGreaterThan(2);
    for (const one of data) expect(watchEvent.safeParse(one).error?.issues ?? []).toEqual([]);
  },
);

describe("before the node runs, and when it stops", () => {
  test.each(ended)("$name: 503, or the answer", async (one) => {
    const empty = new Site("n1");
    const { url, body } = one.operation.example;
    const question = { url, ...(body !== undefined && { body }) };
    const early = await askAs(empty, one, question);
    for (const name of Object.keys(early.headers)) seen.add(name);
    const isOwn = one.operation.tag === "the node" && !/status|readyz/.test(url);
    expect(early.status).toBe(isOwn ? 200 : 503);
    empty.holder.stop();
    await askAs(empty, one, question);
    await empty.close();
  });
});

test("a node that does not lead, told not to forward: 307, as the document says", async () => {
  const three = await Lab.start(["n1", "n2", "n3"]);
  const follower = await three.follower();
  const behind = new Site(follower.id);
  behind.holder.serve(follower.service);
  const isOwn = ({ operation: { id, errors: codes } }: (typeof ended)[number]) =>
    !codes.includes("NOT_LEADER") || id === "snapshot";
  for (const one of ended.filter((each) => !isOwn(each))) {
    const { url, body } = one.operation.example;
    const headers = { "quorate-forward": "never" };
    const ask = body !== undefined ? { url, headers, body } : { url, headers };
    const reply = await askAs(behind, one, ask);
    expect(`${one.name} ${reply.status}`).toBe(`${one.name} 307`);
    for (const name of Object.keys(reply.headers)) seen.add(name);
  }
  await behind.close();
  await three.close();
});

test("every response header that the document names was in an answer", () => {
  const names = Object.keys(RESPONSE_HEADERS).map((name) => name.toLowerCase());
  expect(names.filter((name) => !seen.has(name))).toEqual([]);
});
