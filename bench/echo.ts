/** The ceiling: the same routes on a bare Fastify that stores nothing. */
import Fastify from "fastify";

/** About what a transaction of four operations is answered. */
const RESULTS = Array.from({ length: 4 }, () => {
  return { put: { version: 1, create_revision: 2, mod_revision: 2 } };
});
/** A page of a list, ready to be sent. */
const PAGE = JSON.stringify({
  items: Array.from({ length: 1_000 }, (_, at) => {
    const key = `bench/list/${at + 10_000}`;
    return {
      key,
      value: "x".repeat(64),
      version: 1,
      mod_revision: 20_000,
      create_revision: 20_000,
    };
  }),
  prefixes: [],
  cursor: "x".repeat(40),
  revision: 20_000,
  count: null,
});

/** Starts it on a free port of loopback. */
export async function startEcho(): Promise<{ url: string; close: () => Promise<void> }> {
  const app = Fastify({ logger: false, bodyLimit: 2 * 1024 * 1024 });
  app.addContentTypeParser(
    "application/octet-stream",
    { parseAs: "buffer" },
    (_request, body, done) => done(null, body),
  );
  app.put("/v1/kv/*", (_request, reply) => {
    reply.header("etag", '"1"').header("cache-control", "no-store");
    reply.send({ key: "k", version: 1, create_revision: 2, mod_revision: 2 });
  });
  app.post("/v1/txn", (_request, reply) => {
    reply.send({ succeeded: true, revision: 2, results: RESULTS });
  });
  app.get("/v1/kv", (_request, reply) => {
    reply.header("content-type", "application/json").send(PAGE);
  });
  const url = await app.listen({ host: "127.0.0.1", port: 0 });
  return { url, close: () => app.close() };
}

if (import.meta.main) {
  const { url } = await startEcho();
  process.stdout.write(`${url}\n`);
  process.on("SIGTERM", () => process.exit(0));
}
