/** The routes that every node answers for itself, at any time. */
import { z } from "zod";
import { noQuery, readyQuery } from "../status-routes.ts";
import { ANY_ERRORS, json, NODE_REQUEST } from "./common.ts";
import type { ResponseHeader } from "./headers.ts";
import type { Operation, Success } from "./operation.ts";
import { status, version } from "./status-answers.ts";

const PAGE_HEADERS: readonly ResponseHeader[] = [
  "Content-Security-Policy",
  "X-Content-Type-Options",
];

function text(type: string, headers: readonly ResponseHeader[], description: string): Success {
  return { description, headers, content: { [type]: z.string() } };
}

/** One without parameters that always works. */
function plain(path: string, summary: string, success: Success): Operation {
  const [, name = ""] = /([\w-]+)(?:\.\w+)?$/.exec(path) ?? [];
  return {
    id: `get-${name}`,
    methods: ["get"],
    path,
    tag: "the node",
    summary,
    query: noQuery.schema,
    headers: NODE_REQUEST,
    successes: { 200: success },
    errors: ANY_ERRORS,
    example: { url: path },
  };
}

/** One that is read from the disk, and so may be missing. */
function ofPackage(path: string, summary: string, success: Success): Operation {
  return { ...plain(path, summary, success), errors: [...ANY_ERRORS, "NOT_READY"] };
}

const PLAIN = "text/plain";

export const nodeOperations: readonly Operation[] = [
  plain("/livez", "Whether the process lives", text(PLAIN, [], "it does")),
  {
    ...plain("/readyz", "Whether requests would be answered", text(PLAIN, [], "they would")),
    query: readyQuery.schema,
    successes: {
      200: text(PLAIN, [], "they would"),
      503: text(PLAIN, [], "they would have to wait, or be refused"),
    },
    example: { url: "/readyz?verbose" },
  },
  plain("/version", "Of the program and of the API", json(version)),
  {
    ...plain("/v1/status", "How the node is doing", json(status)),
    errors: [...ANY_ERRORS, "NOT_READY"],
  },
  plain("/openapi.json", "This document", json(z.looseObject({ openapi: z.string() }))),
  plain("/docs", "This document, to browse", text("text/html", PAGE_HEADERS, "a page")),
  plain("/docs/start.js", "What the page runs", text("text/javascript", PAGE_HEADERS, "a program")),
  ofPackage(
    "/docs/swagger-ui-bundle.js",
    "What the page is made with",
    text("text/javascript", PAGE_HEADERS, "a program"),
  ),
  ofPackage(
    "/docs/swagger-ui.css",
    "How the page looks",
    text("text/css", PAGE_HEADERS, "a style"),
  ),
];
