/** A TCP proxy before one node's peer listener: a network that can be cut, slow or broken. */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/** Every piece takes so long on its way, in either direction; the order stays. */
export interface Delay {
  readonly minMs: number;
  readonly maxMs: number;
}

/** Is shown the bytes of one connection, as they come from the node that asks. */
export type Tap = (chunk: Buffer) => void;

interface Connection {
  from: string;
  readonly far: Socket;
}

/**
 * Knows from the first request of a connection whose it is. What a node sends that is cut off goes
 * nowhere, and its connections stay open, as when a cable is pulled; with `heal` they break.
 */
export class PeerProxy {
  readonly target: number;
  readonly #server: Server;
  readonly #connections = new Map<Socket, Connection>();
  /** Whose requests go nowhere, and to whom no answer goes. */
  readonly #mute = new Set<string>();
  readonly #deaf = new Set<string>();
  #delay: Delay | null = null;
  #newTap: () => Tap = () => () => {};

  constructor(targetPort: number) {
    this.target = targetPort;
    this.#server = createServer((near) => this.#accept(near));
  }

  async listen(): Promise<number> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return (this.#server.address() as AddressInfo).port;
  }

  /** Each new connection gets a tap of its own, which also sees what is then lost. */
  tapWith(newTap: () => Tap): void {
    this.#newTap = newTap;
  }

  /** Nothing from this node gets through any more, and no answer to it. */
  cut(from: string): void {
    this.loseRequests(from);
    this.loseAnswers(from);
  }

  loseRequests(from: string): void {
    this.#mute.add(from);
  }

  /** What it asks is done, but it never hears of it. */
  loseAnswers(from: string): void {
    this.#deaf.add(from);
  }

  /** Whether this node's requests get through. */
  hears(from: string): boolean {
    return !this.#mute.has(from);
  }

  /** From now on; null: no more. */
  slowDown(delay: Delay | null): void {
    this.#delay = delay;
  }

  /** Breaks all connections as they are, by a TCP reset. */
  reset(): void {
    for (const [near, { far }] of this.#connections) {
      near.resetAndDestroy();
      far.resetAndDestroy();
    }
  }

  heal(): void {
    for (const [near, { from, far }] of this.#connections) {
      if (!this.#mute.has(from) && !this.#deaf.has(from)) continue;
      near.destroy();
      far.destroy();
    }
    this.#mute.clear();
    this.#deaf.clear();
    this.#delay = null;
  }

  close(): void {
    for (const [near, { far }] of this.#connections) {
      near.destroy();
      far.destroy();
    }
    this.#server.close();
  }

  #accept(near: Socket): void {
    const far = connect(this.target, "127.0.0.1");
    const connection: Connection = { from: "", far };
    this.#connections.set(near, connection);
    const tap = this.#newTap();
    const end = () => {
      near.destroy();
      far.destroy();
      this.#connections.delete(near);
    };
    for (const socket of [near, far]) socket.on("error", end).on("close", end);
    const toFar = this.#pipe(far, () => this.#mute.has(connection.from));
    const toNear = this.#pipe(near, () => this.#deaf.has(connection.from));
    near.on("data", (chunk: Buffer) => {
      const [, from] = /^quorate-from: (\S+)/im.exec(chunk.toString("latin1")) ?? [];
      if (from !== undefined) connection.from = from;
      tap(chunk);
      toFar(chunk);
    });
    far.on("data", toNear);
  }

  /** Takes the pieces for one socket, and writes them, in order, when their time has come. */
  #pipe(to: Socket, isCut: () => boolean): (chunk: Buffer) => void {
    const waiting: Buffer[] = [];
    let lastAt = 0;
    const writeNext = () => {
      const chunk = waiting.shift();
      if (chunk !== undefined && !isCut() && !to.destroyed) to.write(chunk);
    };
    return (chunk) => {
      const now = performance.now();
      const { minMs, maxMs } = this.#delay ?? { minMs: 0, maxMs: 0 };
      lastAt = Math.max(lastAt, now + minMs + Math.random() * (maxMs - minMs));
      waiting.push(chunk);
      // Timers of different lengths may fire in any order, so none has a piece of its own.
      if (lastAt <= now) writeNext();
      else setTimeout(writeNext, lastAt - now);
    };
  }
}
