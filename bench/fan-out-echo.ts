/**
 * The ceiling of fan-out: a bare node:http that writes the same ready bytes to all its streams, as
 * fast as they take them, and knows nothing of keys.
 */
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** About as many events as a node under full load tells at once. */
const EVENTS = 32;

const event = (id: number) =>
  `id: ${id}\nevent: put\ndata: {"key":"bench/watched","value":"${"x".repeat(12)}",` +
  `"version":${id},"mod_revision":${id},"create_revision":${id}}\n\n`;
const bytes = Buffer.from(Array.from({ length: EVENTS }, (_, at) => event(100_000 + at)).join(""));

const streams = new Set<ServerResponse>();

/** Each stream gets the next bytes when it has taken the last, and all take turns. */
function tell(): void {
  for (const response of streams) {
    if (!response.writableNeedDrain) response.write(bytes);
  }
  setImmediate(tell);
}

const server = createServer((_request, response) => {
  response.writeHead(200, { "content-type": "text/event-stream" });
  response.write("retry: 1000\n\n");
  streams.add(response);
  response.on("close", () => streams.delete(response));
  if (streams.size === 1) tell();
});
server.listen(0, "127.0.0.1", () => {
  const { port } = server.address() as AddressInfo;
  process.stdout.write(`http://127.0.0.1:${port}\n`);
});
process.on("SIGTERM", () => process.exit(0));
