/** The parts of a request's URL as they were sent: nothing is decoded, and no path is resolved. */
import type { FastifyRequest } from "fastify";

/** The URL of a request, as it was sent. */
export function urlOf({ raw }: FastifyRequest): string {
  return raw.url ?? "/"; // A server's requests have one.
}

/** Before the question mark. A proxy may have named the whole URL. */
export function pathOf(url: string): string {
  const from = url.startsWith("/") ? 0 : startOfPath(url);
  const query = url.indexOf("?", from);
  return query === -1 ? url.slice(from) : url.slice(from, query);
}

/** After the question mark; empty where there is none. */
export function queryOf(url: string): string {
  const query = url.indexOf("?");
  return query === -1 ? "" : url.slice(query + 1);
}

function startOfPath(url: string): number {
  const [origin] = /^[a-z]+:\/\/[^/?#]*/i.exec(url) ?? [""];
  return origin.length;
}
