/** Ports of loopback that nobody uses now. */
import { once } from "node:events";
import { type AddressInfo, createServer, type Server } from "node:net";

/** `count` different ones. The system deals them out again only much later. */
export async function freePorts(count: number): Promise<number[]> {
  const servers: Server[] = [];
  for (let i = 0; i < count; i++) {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    servers.push(server);
  }
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => new Promise((done) => server.close(done))));
  return ports;
}
