/** Ports of loopback that nobody uses now, and that the system gives to nobody by itself. */
import { once } from "node:events";
import { createServer, type Server } from "node:net";

/**
 * Below the ports that outgoing connections get: while a node is down, its port must not be taken
 * by one of them.
 */
const FIRST = 12_000;
const LAST = 32_000;

/** `count` different ones. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = new Map<number, Server>();
  while (servers.size < count) {
    const port = FIRST + Math.floor(Math.random() * (LAST - FIRST));
    const server = createServer();
    server.listen(port, "127.0.0.1");
    const isFree = await once(server, "listening").then(
      () => true,
      () => false,
    );
    if (isFree) servers.set(port, server);
  }
  const all = [...servers.values()];
  await Promise.all(all.map((server) => new Promise((done) => server.close(done))));
  return [...servers.keys()];
}
