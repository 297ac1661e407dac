/** The Clock of production, on Node's event loop. */
import type { Millis } from "../raft/types.ts";
import type { Clock } from "./clock.ts";

export const nodeClock: Clock = {
  now() {
    return performance.now() as Millis;
  },

  after(ms, run) {
    // A deadline may have passed while the process stood still.
    const timer = setTimeout(run, Math.max(0, ms));
    return () => clearTimeout(timer);
  },

  defer(run) {
    setImmediate(run);
  },
};
