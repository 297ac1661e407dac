/** Snapshot files arrive whole, whatever happens on the way, or the transfer ends (S5, S8, S9). */
import { connect } from "node:net";
import { afterEach, describe, expect, test, vi } from "vitest";
import type { NodeId } from "../../src/raft/types.ts";
import type { ChunkReply, SnapshotChunk } from "../../src/transport/call-codec.ts";
import { n2 } from "./arbitrary.ts";
import { Lab, type RawServer, type RunningServer, until } from "./peers.ts";

const lab = new Lab();
afterEach(() => lab.close());

const CHUNK = 1000;
const file = Uint8Array.from({ length: 25_500 }, (_, i) => (i * 31) ^ (i >> 7));
const snapshot = { name: "12-7.snap", bytes: file.length, term: 7 };

/** Keeps what it was sent, and asks for what comes next. */
class Receiver {
  readonly chunks: SnapshotChunk[] = [];
  readonly file: number[] = [];
  /** Called before a chunk is looked at. */
  before: (nth: number) => ChunkReply | null = () => null;

  readonly onSnapshotChunk = (_from: NodeId, chunk: SnapshotChunk): Promise<ChunkReply> => {
    this.chunks.push(chunk);
    const reply = this.before(this.chunks.length);
    if (reply !== null) return Promise.resolve(reply);
    if (chunk.offset === this.file.length) this.file.push(...chunk.data);
    return Promise.resolve({ type: "want", offset: this.file.length });
  };
}

function sender(url: string, limits = {}) {
  const reads: number[] = [];
  const { transport } = lab.transport({
    limits: { snapshotChunkBytesMax: CHUNK, snapshotProgressTimeoutMs: 5000, ...limits },
    readAt: (_name, { offset, length }, done) => {
      reads.push(offset);
      setImmediate(() => done(file.subarray(offset, offset + length)));
    },
  });
  transport.setPeers(new Map([[n2, url]]));
  const send = (what = snapshot) => {
    const done = vi.fn<(ok: boolean) => void>();
    transport.sendSnapshot(n2, what, done);
    return done;
  };
  return { transport, send, reads };
}

async function ended(done: ReturnType<ReturnType<typeof sender>["send"]>): Promise<unknown> {
  await until(() => done.mock.calls.length > 0, "the transfer has ended");
  return done.mock.calls;
}

/** Passes bytes on to the server; `tamper` may change what goes there. */
function proxy(server: RunningServer, tamper: (bytes: Buffer) => Buffer): Promise<RawServer> {
  return lab.raw((socket) => {
    const onward = connect(server.port, "127.0.0.1");
    socket.on("data", (bytes) => onward.write(tamper(Buffer.from(bytes))));
    socket.on("close", () => onward.destroy());
    onward.on("data", (bytes) => socket.write(bytes));
    onward.on("close", () => socket.destroy());
    onward.on("error", () => socket.destroy());
  });
}

test("a file arrives whole, in order, with all that is known of it", async () => {
  const receiver = new Receiver();
  const server = await lab.server({ handlers: receiver });
  expect(await ended(sender(server.url).send())).toEqual([[true]]);
  expect(receiver.file).toEqual([...file]);
  expect(receiver.chunks).toHaveLength(26);
  expect(receiver.chunks[25]).toMatchObject({ ...snapshot, offset: 25_000 });
});

test("chunks are as large as they may be, no larger", async () => {
  const big = new Uint8Array(2.5 * 1024 * 1024).fill(3);
  const sizes: number[] = [];
  const server = await lab.server({
    handlers: {
      onSnapshotChunk: (_from, { offset, data }) => {
        sizes.push(data.length);
        return Promise.resolve({ type: "want", offset: offset + data.length });
      },
    },
  });
  const { transport } = lab.transport({
    limits: { snapshotChunkBytesMax: 1e9 },
    readAt: (_name, { offset, length }, done) => done(big.subarray(offset, offset + length)),
  });
  transport.setPeers(new Map([[n2, server.url]]));
  const done = vi.fn<(ok: boolean) => void>();
  transport.sendSnapshot(n2, { ...snapshot, bytes: big.length }, done);
  expect(await ended(done)).toEqual([[true]]);
  expect(sizes).toEqual([2 ** 20, 2 ** 20, 2 ** 19]);
});

describe("what is lost on the way is sent again, and no more", () => {
  test("the receiver has a part already", async () => {
    const receiver = new Receiver();
    receiver.file.push(...file.subarray(0, 20_000));
    const server = await lab.server({ handlers: receiver });
    expect(await ended(sender(server.url).send())).toEqual([[true]]);
    expect(receiver.file).toEqual([...file]);
    expect(receiver.chunks.map(({ offset }) => offset).slice(0, 3)).toEqual([0, 20_000, 21_000]);
  });

  test("the receiver restarts midway, and has lost the end of what it had", async () => {
    const receiver = new Receiver();
    const server = await lab.server({ handlers: receiver });
    let restarted: RunningServer | null = null;
    receiver.before = (nth) => {
      if (nth !== 10) return null;
      void server.app.close().then(async () => {
        receiver.file.length = 4000;
        restarted = await lab.server({ handlers: receiver, port: server.port });
      });
      return null;
    };
    expect(await ended(sender(server.url).send())).toEqual([[true]]);
    expect(restarted).not.toBeNull();
    expect(receiver.file).toEqual([...file]);
  });

  test("a chunk is damaged", async () => {
    const receiver = new Receiver();
    const server = await lab.server({ handlers: receiver });
    let requests = 0;
    const through = await proxy(server, (bytes) => {
      if (bytes.includes("POST ")) requests += 1;
      if (requests !== 3 || bytes.length < 300) return bytes;
      requests += 1; // Only once.
      return Buffer.from(bytes.with(bytes.length - 100, ~(bytes.at(-100) ?? 0) & 0xff));
    });
    expect(await ended(sender(through.url).send())).toEqual([[true]]);
    expect(receiver.file).toEqual([...file]);
    expect(server.posts).toBe(27);
    expect(receiver.chunks).toHaveLength(26);
  });

  test("an answer is lost", async () => {
    const receiver = new Receiver();
    const server = await lab.server({ handlers: receiver });
    receiver.before = (nth) => {
      if (nth === 5) server.app.server.closeAllConnections();
      return null;
    };
    expect(await ended(sender(server.url).send())).toEqual([[true]]);
    expect(receiver.file).toEqual([...file]);
    expect(receiver.chunks.map(({ offset }) => offset).slice(3, 7)).toEqual([
      3000, 4000, 4000, 5000,
    ]);
  });

  test("the receiver is not there yet", async () => {
    const url = await lab.deadUrl();
    const done = sender(url).send();
    const receiver = new Receiver();
    await lab.server({ handlers: receiver, port: Number(new URL(url).port) });
    expect(await ended(done)).toEqual([[true]]);
  });
});

describe("a transfer that gets nowhere ends", () => {
  test.each(["stale_term", "not_wanted"] as const)("refused: %s", async (reason) => {
    const receiver = new Receiver();
    receiver.before = (nth) => (nth === 3 ? { type: "refused", reason } : null);
    const server = await lab.server({ handlers: receiver });
    expect(await ended(sender(server.url).send())).toEqual([[false]]);
    expect(receiver.chunks).toHaveLength(3);
  });

  test("the receiver stalls", async () => {
    const hung = await lab.hung();
    const start = performance.now();
    const done = sender(hung.url, { snapshotProgressTimeoutMs: 300 }).send();
    expect(await ended(done)).toEqual([[false]]);
    expect(performance.now() - start).toBeGreaterThan(250);
    expect(performance.now() - start).toBeLessThan(1000);
    expect(hung.sockets.length).toBeGreaterThan(1); // A dead connection is not waited for so long.
  });

  test("the receiver is gone", async () => {
    const done = sender(await lab.deadUrl(), { snapshotProgressTimeoutMs: 300 }).send();
    expect(await ended(done)).toEqual([[false]]);
  });

  test("the receiver goes back again and again", async () => {
    const receiver = new Receiver();
    receiver.before = (nth) => (nth % 3 === 0 ? { type: "want", offset: 0 } : null);
    const onSnapshotChunk = async (from: NodeId, chunk: SnapshotChunk): Promise<ChunkReply> => {
      const reply = await receiver.onSnapshotChunk(from, chunk);
      if (reply.type === "want" && reply.offset === 0) receiver.file.length = 0;
      return reply;
    };
    const server = await lab.server({ handlers: { onSnapshotChunk } });
    expect(await ended(sender(server.url).send())).toEqual([[false]]);
    expect(receiver.chunks.length).toBeLessThan(50);
  });

  test("the file is shorter than it should be", async () => {
    const server = await lab.server({ handlers: new Receiver() });
    const done = sender(server.url).send({ ...snapshot, bytes: file.length + 1 });
    expect(await ended(done)).toEqual([[false]]);
    expect(server.posts).toBe(26); // There was nothing to send after what there is.
  });

  test("a slow one that goes on is left in peace, however long it takes", async () => {
    const receiver = new Receiver();
    const slow = async (from: NodeId, chunk: SnapshotChunk): Promise<ChunkReply> => {
      await new Promise((resolve) => setTimeout(resolve, 20));
      return receiver.onSnapshotChunk(from, chunk);
    };
    const server = await lab.server({ handlers: { onSnapshotChunk: slow } });
    const start = performance.now();
    const done = sender(server.url, { snapshotProgressTimeoutMs: 300 }).send();
    expect(await ended(done)).toEqual([[true]]);
    expect(performance.now() - start).toBeGreaterThan(500);
  });
});

describe("a transfer ends early", () => {
  test("as a newer snapshot takes its place", async () => {
    const receiver = new Receiver();
    const server = await lab.server({ handlers: receiver });
    const hung = await lab.hung();
    const { send, transport } = sender(hung.url);
    const first = send();
    await until(() => hung.sockets.length > 0, "the first is under way");
    const second = send();
    expect(first.mock.calls).toEqual([[false]]);
    await until(() => hung.sockets.length > 1, "the second is under way");
    transport.setPeers(new Map([[n2, server.url]]));
    expect(second.mock.calls).toEqual([[false]]);
    const third = send();
    expect(await ended(third)).toEqual([[true]]);
    expect(first).toHaveBeenCalledTimes(1);
    expect(second).toHaveBeenCalledTimes(1);
  });

  test("as the transport closes, even in the middle of a read", async () => {
    const done = vi.fn<(ok: boolean) => void>();
    const { transport } = lab.transport({ readAt: () => {} });
    transport.setPeers(new Map([[n2, await lab.deadUrl()]]));
    transport.sendSnapshot(n2, snapshot, done);
    await transport.close();
    expect(done.mock.calls).toEqual([[false]]);
  });

  test("as there is no such peer", async () => {
    const done = vi.fn<(ok: boolean) => void>();
    lab.transport().transport.sendSnapshot(n2, snapshot, done);
    expect(done).not.toHaveBeenCalled();
    expect(await ended(done)).toEqual([[false]]);
  });
});

test("messages and calls go on beside a transfer that hangs", async () => {
  const server = await lab.server({
    handlers: { onSnapshotChunk: () => new Promise<ChunkReply>(() => {}) },
  });
  const { transport, send } = sender(server.url);
  const done = send();
  await until(() => server.posts === 1, "a chunk is under way");
  expect(await transport.calls.readIndex(n2, 1000)).toMatchObject({ type: "confirmed" });
  expect(done).not.toHaveBeenCalled();
});
