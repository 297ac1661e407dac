/** `/openapi.json` and `/docs` (section 2): valid, complete, and served by this node alone. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { Validator } from "@seriousme/openapi-schema-validator";
import Fastify from "fastify";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openApiDocument, OPERATIONS } from "../../src/http/openapi/document.ts";
import { PARAMETERS } from "../../src/http/openapi/parameters.ts";
import { Responder } from "../../src/http/responses.ts";
import { addRoutes } from "../../src/http/server.ts";
import { ServiceHolder } from "../../src/http/service-holder.ts";
import { STATUS_CODES } from "../../src/http/status-codes.ts";
import { Unsent } from "../../src/http/unsent.ts";
import type { Lab } from "../service/lab.ts";
import { described, nameOf } from "./openapi-check.ts";
import { errorIn, Site } from "./site.ts";

const run = promisify(execFile);
let site: Site;
let lab: Lab;

beforeAll(async () => {
  ({ site, lab } = await Site.alone());
});

afterAll(async () => {
  await site.close();
  await lab.close();
});

describe("the document", () => {
  const document = openApiDocument("1.2.3");

  test("is valid OpenAPI 3.1", async () => {
    const reply = await site.ask("/openapi.json");
    const validator = new Validator();
    const result = await validator.validate(JSON.parse(reply.text) as Record<string, unknown>);
    expect(result).toEqual({ valid: true });
    expect(validator.version).toBe("3.1");
  });

  test("is told apart from one that is not valid", async () => {
    const { info: _, ...without } = JSON.parse(JSON.stringify(document)) as Record<string, unknown>;
    expect((await new Validator().validate(without)).valid).toBe(false);
  });

  test("is what the server serves, with its version", async () => {
    const { status, text } = await site.ask("/openapi.json");
    expect(status).toBe(200);
    expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(document)));
  });

  test("is served before the node runs, and when it stops, by every node for itself", async () => {
    const empty = new Site("n1");
    const headers = { "quorate-forward": "never" };
    expect((await empty.ask("/openapi.json", { headers })).status).toBe(200);
    empty.holder.stop();
    expect((await empty.ask("/openapi.json")).status).toBe(200);
    await empty.close();
  });

  test("has every route that the server has, and no other", async () => {
    const served = await servedRoutes();
    // A key that ends so is a counter: the route of the key is the counter's, too.
    const routes = described.map(({ operation, method }) => {
      const route = operation.path.replace(/\{.*$/, "*");
      return `${method.toUpperCase()} ${route}`;
    });
    expect([...new Set(routes)].sort()).toEqual([...served].sort());
    expect(served.length).toBeGreaterThan(30);
  });

  test("names each operation once", () => {
    const names = described.map(({ operation, method }) => nameOf(operation, method));
    expect(new Set(names).size).toBe(names.length);
    const ids = Object.values(document.paths ?? {}).flatMap((path) =>
      Object.values(path as Record<string, { operationId?: string }>).map((one) => one.operationId),
    );
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids.length).toBe(names.length);
  });

  test("knows every error code with its status, but for those of no route", () => {
    const told = new Set(OPERATIONS.flatMap(({ errors }) => errors));
    const missing = Object.keys(STATUS_CODES).filter((code) => !told.has(code as never));
    expect(missing).toEqual(["METHOD_NOT_ALLOWED"]);
  });

  test("has no meaning for a parameter that no route has", () => {
    const known = new Set(
      OPERATIONS.flatMap(({ query, eventsQuery }) => [
        ...Object.keys(query.shape),
        ...Object.keys(eventsQuery?.shape ?? {}),
      ]),
    );
    expect(Object.keys(PARAMETERS).filter((name) => !known.has(name))).toEqual([]);
  });

  test("names the schemas that clients need", () => {
    expect(Object.keys(document.components?.schemas ?? {})).toEqual(
      expect.arrayContaining([
        "KeyValue",
        "Error",
        "TxnRequest",
        "TxnResult",
        "Lease",
        "Lock",
        "WatchEvent",
      ]),
    );
  });

  test("has examples that a shell can run, and the server understands", async () => {
    const port = await site.listen();
    // Keys are read after they are written, and so on: by method.
    const order = ["put", "post", "get", "head", "delete"];
    const all = described.toSorted((a, b) => order.indexOf(a.method) - order.indexOf(b.method));
    const paths = document.paths as Record<string, Record<string, { "x-codeSamples"?: unknown }>>;
    for (const { operation, method, name } of all) {
      const samples = paths[operation.path]?.[method]?.["x-codeSamples"];
      const [{ source }] = samples as [{ source: string }];
      const line = source.replace("http://127.0.0.1:4001", `http://127.0.0.1:${port}`);
      const quiet = line.replace("curl", "curl -s -o /dev/null -w '%{http_code}' --max-time 1");
      // A stream does not end: curl gives up, and has the status nevertheless.
      const { stdout } = await run("sh", ["-c", `${quiet} || test $? = 28`]);
      const expected = new RegExp(operation.id === "renewLock" ? "^409$" : "^(2..|404)$");
      expect(stdout, `${name}: ${line}`).toMatch(expected);
    }
  });
});

describe("the page", () => {
  const files = ["/docs", "/docs/start.js", "/docs/swagger-ui-bundle.js", "/docs/swagger-ui.css"];

  test.each(files)("%s is served, and lets the browser ask this server only", async (path) => {
    const { status, headers, text } = await site.ask(path);
    expect(status).toBe(200);
    expect(text.length).toBeGreaterThan(50);
    expect(headers["content-security-policy"]).toMatch(
      /^default-src 'self'; img-src 'self' data:;/,
    );
    expect(headers["content-security-policy"]).not.toMatch(/https?:|\*|unsafe/);
    expect(headers["x-content-type-options"]).toBe("nosniff");
  });

  test("loads nothing from another host", async () => {
    const { text } = await site.ask("/docs");
    const loads = [...text.matchAll(/(?:src|href)="([^"]*)"/g)].map(([, target]) => target);
    expect(new Set(loads)).toEqual(new Set([...files.slice(1), "data:,"]));
    expect(text).not.toMatch(/https?:|\/\/\w|<style|<script>|\son\w+=/);
    const start = (await site.ask("/docs/start.js")).text;
    expect(start).not.toMatch(/https?:|\/\/\w/);
    expect(start).toContain('url: "/openapi.json"');
    expect(start).toContain("validatorUrl: null");
    const style = (await site.ask("/docs/swagger-ui.css")).text;
    expect(style).not.toMatch(/@import|url\(\s*["']?(https?:)?\/\//);
  });

  test("has no other files", async () => {
    for (const path of ["/docs/package.json", "/docs/..%2fpackage.json", "/docs/static/x"]) {
      expect(errorIn(await site.ask(path)).code).toBe("ROUTE_NOT_FOUND");
    }
  });
});

/** `METHOD path` of every route, as Fastify is told of them. */
async function servedRoutes(): Promise<string[]> {
  const app = Fastify();
  const served: string[] = [];
  app.addHook("onRoute", ({ path, method }) => {
    for (const one of [method].flat()) served.push(`${one} ${path}`);
  });
  const holder = new ServiceHolder();
  const about = {
    name: "n1",
    clientUrl: "http://n1.test:4001",
    version: "1.2.3",
    cluster: () => "a",
  };
  addRoutes(app, { holder, responder: new Responder("n1", holder, new Unsent(1)) }, about);
  await app.ready();
  await app.close();
  return served;
}
