/** Time and turns on Node's event loop. */
import { uptime } from "node:os";
import type { Millis } from "../raft/types.ts";
import type { Runtime } from "./ports.ts";

/**
 * The Runtime of production.
 *
 * After a pause (a stopped process, a long collection) libuv runs timers that are due before it
 * reads the sockets, so an election timer would fire although the heartbeats are there, unread
 * (E13). So `every` lets one poll phase pass between the timer and its work.
 */
export const nodeRuntime: Runtime = {
  now() {
    return performance.now() as Millis;
  },

  awakeAndAsleep() {
    return uptime() * 1_000;
  },

  /** Immediates run after the poll phase: what the sockets hold is delivered before. */
  defer(turn) {
    setImmediate(turn);
  },

  every(ms, run) {
    let due: NodeJS.Immediate | null = null;
    const timer = setInterval(() => {
      due ??= setImmediate(() => {
        due = null;
        run();
      });
    }, ms);
    return () => {
      clearInterval(timer);
      if (due !== null) clearImmediate(due);
      due = null;
    };
  },
};
