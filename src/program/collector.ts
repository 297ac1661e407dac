/**
 * When V8 looks for garbage, in a process that keeps much and replaces little of it.
 *
 * To look through all memory takes work for every object there is, and a state of a gigabyte has
 * millions. By default V8 begins with it as soon as byte arrays of 64 MB were made since the last
 * time, and goes on in steps of up to 10 ms, one for every 128 KB more. A backup alone makes more
 * than a gigabyte of them, and many such steps came in one turn of the event loop: 130 ms. V8 14.8
 * has given that up, and counts byte arrays as all other memory. Versions before can do the same.
 */
import { setFlagsFromString } from "node:v8";

/**
 * By how much memory may grow until V8 looks for garbage. By default that is up to V8: a node with
 * a gigabyte of state took 3.4 GB, half of it byte arrays that nobody needed any more.
 */
const GROWTH_PERCENT = 20;

/** The flags for a version of V8, such as `14.6.202.34-node.34`. None where they would not help. */
export function collectorFlags(version: string): readonly string[] {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const isFrom = (m: number, n: number) => major > m || (major === m && minor >= n);
  if (!isFrom(13, 6)) return [];
  const growth = `--heap-growing-percent=${GROWTH_PERCENT}`;
  return isFrom(14, 8) ? [growth] : [growth, "--external-memory-accounted-in-global-limit"];
}

/** Sets this process up. To be called before there is much in memory. */
export function tuneCollector(): void {
  for (const flag of collectorFlags(process.versions.v8)) setFlagsFromString(flag);
}
