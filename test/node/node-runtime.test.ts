/** The Runtime on Node's event loop: what is read before what, above all after a pause. */
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { afterEach, expect, test } from "vitest";
import { nodeRuntime } from "../../src/node/node-runtime.ts";
import type { Runtime } from "../../src/node/ports.ts";

const cleanUps: (() => void)[] = [];
afterEach(() => {
  for (const cleanUp of cleanUps.splice(0)) cleanUp();
});

/** Both ends of a TCP connection over loopback. */
async function socketPair(): Promise<{ near: Socket; far: Socket }> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  const accepted = once(server, "connection");
  const near = connect(address.port, "127.0.0.1").setNoDelay(true);
  const [far] = (await accepted) as [Socket];
  await once(near, "connect");
  cleanUps.push(() => {
    near.destroy();
    far.destroy();
    server.close();
  });
  return { near, far };
}

/** Holds up the event loop, as a stopped process or a long collection does. */
function block(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

/** What came first after a pause during which a peer has spoken, with ticks made by `every`. */
async function orderAfterPause(every: Runtime["every"]): Promise<string[]> {
  const { near, far } = await socketPair();
  const order: string[] = [];
  const heard = new Promise<void>((resolve) => {
    far.once("data", () => {
      order.push("heartbeat");
      resolve();
    });
  });
  const ticked = new Promise<void>((resolve) => {
    const stop = every(10, () => {
      stop();
      order.push("tick");
      resolve();
    });
    // Immediates run between reading the sockets and the timers: the wrong place for a pause.
    setImmediate(() => {
      near.write("heartbeat");
      block(50);
    });
  });
  await Promise.all([heard, ticked]);
  return order;
}

test("after a pause, a tick comes behind what the sockets hold", async () => {
  expect(await orderAfterPause((ms, run) => nodeRuntime.every(ms, run))).toEqual([
    "heartbeat",
    "tick",
  ]);
});

test("a bare timer would come before it: the pause of the test is a real one", async () => {
  const bare = (ms: number, run: () => void) => {
    const timer = setInterval(run, ms);
    return () => clearInterval(timer);
  };
  expect(await orderAfterPause(bare)).toEqual(["tick", "heartbeat"]);
});

test("a stopped clock ticks no more, not even a tick that was due", async () => {
  let ticks = 0;
  const stop = nodeRuntime.every(1, () => {
    ticks += 1;
  });
  await new Promise<void>((resolve) => {
    // In the next timers phase the clock is due, and puts its work off; then this stops it.
    setImmediate(() => {
      setTimeout(() => {
        stop();
        setImmediate(() => setImmediate(resolve));
      }, 1);
      block(20);
    });
  });
  expect(ticks).toBe(0);
});

test("turns run after the present one, in order", async () => {
  const order: string[] = [];
  await new Promise<void>((resolve) => {
    nodeRuntime.defer(() => order.push("first"));
    nodeRuntime.defer(() => {
      order.push("second");
      resolve();
    });
    order.push("now");
  });
  expect(order).toEqual(["now", "first", "second"]);
});

test("the clock never goes back", () => {
  let last = nodeRuntime.now();
  for (let i = 0; i < 1_000; i++) {
    const now = nodeRuntime.now();
    expect(now).toBeGreaterThanOrEqual(last);
    last = now;
  }
});
