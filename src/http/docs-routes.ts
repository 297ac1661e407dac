/**
 * The description of the API: as a document, and as a page that shows it. The page is served from
 * this node alone, and its browser is told to ask nobody else for anything.
 */
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, extname, join } from "node:path";
import { Worker } from "node:worker_threads";
import type { FastifyInstance } from "fastify";
import type { RouteDeps } from "./data-routes.ts";
import { ServiceError } from "../service/errors.ts";
import type { Answer } from "./responses.ts";
import { type About, noQuery } from "./status-routes.ts";
import { urlOf } from "./url.ts";

/** Images in the style are written into it, as data. */
const CONTENT_SECURITY_POLICY = [
  "default-src 'self'",
  "img-src 'self' data:",
  "object-src 'none'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

const PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Quorate</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<div id="api"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
`;

/** Without a validator, as that would be somebody else's server. */
const START = `SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#api",
  deepLinking: true,
  validatorUrl: null,
});
`;

/** Files of the package, by the path under which they are served. */
const FILES = [
  { path: "/docs/swagger-ui-bundle.js", name: "swagger-ui-bundle.js", type: "text/javascript" },
  { path: "/docs/swagger-ui.css", name: "swagger-ui.css", type: "text/css" },
] as const;

/** Adds `/openapi.json` and `/docs`. They are answered at any time, and never forwarded. */
export function addDocsRoutes(app: FastifyInstance, deps: RouteDeps, about: About): void {
  const add = (path: string, answer: () => Answer | Promise<Answer>) => {
    app.get(path, async (request, reply) => {
      noQuery(urlOf(request));
      return deps.responder.send(request, reply, await answer());
    });
  };
  let document: Promise<string> | null = null;
  add("/openapi.json", async () => {
    // Always the same, and not needed by most nodes.
    document ??= describeApi(about.version);
    return { status: 200, headers: {}, body: await document };
  });
  add("/docs", () => page("text/html", PAGE));
  add("/docs/start.js", () => page("text/javascript", START));
  for (const { path, name, type } of FILES) {
    add(path, async () => page(type, await fileOf(name)));
  }
}

/** The document as JSON. It takes longer to make than the event loop may be held. */
async function describeApi(version: string): Promise<string> {
  const file = `./openapi/thread${extname(import.meta.filename)}`;
  const thread = new Worker(new URL(file, import.meta.url), { workerData: version });
  const [document] = (await once(thread, "message")) as [string];
  return document;
}

function page(type: string, body: string | Uint8Array): Answer {
  const headers = {
    "content-type": `${type}; charset=utf-8`,
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
  };
  return { status: 200, headers, body };
}

/** A file of the package, from the disk each time: hardly anybody looks at the page. */
async function fileOf(name: string): Promise<Uint8Array> {
  try {
    const { resolve } = createRequire(import.meta.url);
    return await readFile(
      join(dirname(resolve("@fastify/swagger-ui/package.json")), "static", name),
    );
  } catch (error) {
    // Without its page a node is as good as with it: this is no bug that must end it.
    const why = error instanceof Error ? error.message : String(error);
    throw new ServiceError("NOT_READY", `the page cannot be read: ${why}`);
  }
}
