/** The ceiling: the same route on a bare Fastify that stores nothing. */
import Fastify from "fastify";

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
  const url = await app.listen({ host: "127.0.0.1", port: 0 });
  return { url, close: () => app.close() };
}

if (import.meta.main) {
  const { url } = await startEcho();
  process.stdout.write(`${url}\n`);
  process.on("SIGTERM", () => process.exit(0));
}
