/** Holds what the server answers against what its document says. */
import { expect } from "vitest";
import { must } from "../../src/lib/assert.ts";
import { methodsOf, OPERATIONS } from "../../src/http/openapi/document.ts";
import type { Operation } from "../../src/http/openapi/operation.ts";
import { answersOf } from "../../src/http/openapi/responses.ts";
import type { Question, Reply, Site } from "./site.ts";

export type Method = ReturnType<typeof methodsOf>[number];

/** Of every connection, and of every body: not of this API. */
const OF_HTTP = [
  "connection",
  "content-length",
  "content-type",
  "date",
  "keep-alive",
  "transfer-encoding",
];

/** Every method of every path that the document has. */
export const described = OPERATIONS.flatMap((operation) =>
  methodsOf(operation).map((method) => ({ operation, method, name: nameOf(operation, method) })),
);

export function nameOf({ path }: Operation, method: Method): string {
  return `${method.toUpperCase()} ${path}`;
}

export function operation(id: string): Operation {
  return must(
    OPERATIONS.find((one) => one.id === id),
    `no operation ${id}`,
  );
}

/** Asks for the operation, and takes no answer but one that the document describes. */
export async function askAs(
  site: Site,
  { operation: asked, method }: { readonly operation: Operation; readonly method: Method },
  { url, ...question }: Question & { readonly url: string },
): Promise<Reply> {
  const upper = method.toUpperCase() as NonNullable<Question["method"]>;
  const reply = await site.ask(url, { ...question, method: upper });
  fits(asked, method, reply);
  return reply;
}

/** Fails where the document does not say that there may be such an answer. */
export function fits(asked: Operation, method: Method, reply: Reply): void {
  const { status, headers, text } = reply;
  const where = `${nameOf(asked, method)} ${status} ${text.slice(0, 300)}`;
  const answer = answersOf(asked).find((one) => one.status === status);
  expect(answer, `status of ${where}`).toBeDefined();
  const told = (answer?.headers ?? []).map((name) => name.toLowerCase());
  const more = Object.keys(headers).filter((name) => !told.includes(name));
  expect(
    more.filter((name) => !OF_HTTP.includes(name)),
    `headers of ${where}`,
  ).toEqual([]);
  const isEmpty = method === "head" || Object.keys(answer?.content ?? {}).length === 0;
  if (isEmpty) {
    expect(text, where).toBe("");
    return;
  }
  const [type = ""] = (headers["content-type"] ?? "").split(";");
  const schema = must(answer?.content[type], `no content of type ${type}: ${where}`);
  const body: unknown = type === "application/json" ? JSON.parse(text) : text;
  const result = schema.safeParse(body);
  expect(result.error?.issues ?? [], where).toEqual([]);
}
