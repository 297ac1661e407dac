/** A TCP proxy before one node's peer listener, which can cut off some of the other nodes. */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/**
 * Knows from the first request of a connection whose it is. What a node sends that is cut off goes
 * nowhere, and its connections stay open, as when a cable is pulled; with `heal` they break.
 */
export class PeerProxy {
  readonly #target: number;
  readonly #server: Server;
  readonly #connections = new Map<Socket, { from: string; far: Socket }>();
  readonly #cut = new Set<string>();

  constructor(targetPort: number) {
    this.#target = targetPort;
    this.#server = createServer((near) => this.#accept(near));
  }

  async listen(): Promise<number> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return (this.#server.address() as AddressInfo).port;
  }

  /** Nothing from this node gets through any more, and no answer to it. */
  cut(from: string): void {
    this.#cut.add(from);
  }

  heal(): void {
    for (const [near, { from, far }] of this.#connections) {
      if (!this.#cut.has(from)) continue;
      near.destroy();
      far.destroy();
    }
    this.#cut.clear();
  }

  close(): void {
    for (const [near, { far }] of this.#connections) {
      near.destroy();
      far.destroy();
    }
    this.#server.close();
  }

  #accept(near: Socket): void {
    const far = connect(this.#target, "127.0.0.1");
    const connection = { from: "", far };
    this.#connections.set(near, connection);
    const end = () => {
      near.destroy();
      far.destroy();
      this.#connections.delete(near);
    };
    for (const socket of [near, far]) socket.on("error", end).on("close", end);
    near.on("data", (chunk: Buffer) => {
      const [, from] = /^quorate-from: (\S+)/im.exec(chunk.toString("latin1")) ?? [];
      if (from !== undefined) connection.from = from;
      if (!this.#cut.has(connection.from)) far.write(chunk);
    });
    far.on("data", (chunk: Buffer) => {
      if (!this.#cut.has(connection.from)) near.write(chunk);
    });
  }
}
