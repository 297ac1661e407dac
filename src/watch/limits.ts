/** How many watchers there may be, and how much is done for them at a time. */

export interface WatchLimits {
  readonly watchersMax: number;
  /** At least so long between two rounds of telling: the changes between share a write. */
  readonly roundMs: number;
  /** How many watchers are told something in one turn of the event loop. */
  readonly writesPerTurn: number;
  /** How many changes of the history are looked at in one turn. */
  readonly sliceChanges: number;
  /**
   * How many bytes of keys and values are told at once, about, and how many are encoded in one
   * turn: more waits until it is taken. One event is never cut.
   */
  readonly sliceBytes: number;
  /** How many keys are listed at once, if they are small. */
  readonly pageKeys: number;
  /** After so long without an event a watcher is told how far it is. */
  readonly progressMs: number;
  /** So often something goes over each connection. */
  readonly keepAliveMs: number;
  /** After so long without taking anything a watcher is closed. */
  readonly stallMs: number;
  /** A node that knows no leader for so long may miss what happens: watches go on elsewhere. */
  readonly leaderlessMs: number;
  /** How often all of these times are looked at. */
  readonly tickMs: number;
}

export const watchLimits: WatchLimits = {
  watchersMax: 10_000,
  // A write to a socket costs some microseconds: 100 rounds a second leave room for a thousand.
  roundMs: 10,
  // A few milliseconds, so that heartbeats are not held up.
  writesPerTurn: 500,
  sliceChanges: 1_000,
  sliceBytes: 256 * 1024,
  pageKeys: 500,
  progressMs: 10_000,
  keepAliveMs: 15_000,
  stallMs: 30_000,
  // Elections are long over by then.
  leaderlessMs: 10_000,
  tickMs: 250,
};
