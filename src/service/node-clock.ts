/** The Clock of production, on Node's event loop. */
import type { Millis } from "../raft/types.ts";
import type { Clock } from "./clock.ts";

export const nodeClock: Clock = {
  now() {
    return performance.now() as Millis;
  },

  after(ms, run) {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },

  defer(run) {
    setImmediate(run);
  },
};
