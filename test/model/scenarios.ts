/** From where the model goes through everything, and within which bounds. */
import { type Entry, makeEntry } from "../../src/raft/entry.ts";
import { asIndex, asTerm, type ClusterTime, type NodeId } from "../../src/raft/types.ts";
import type { Bounds, ExplorerOptions } from "./explorer.ts";
import type { Disk } from "./node-model.ts";

export interface Scenario {
  readonly name: string;
  readonly options: ExplorerOptions;
}

const bounds: Bounds = {
  terms: 2,
  elections: 2,
  proposals: 0,
  commandsAtOnce: 2,
  crashes: 0,
  beats: 0,
  silences: 0,
};
const later: Bounds = { ...bounds, terms: 4 };
const empty = diskOf(0, null, []);
const options: ExplorerOptions = {
  bounds,
  disks: [empty, empty, empty],
  appendEntriesMax: 8,
  windowMessages: 1,
  promises: true,
  plant: null,
};

/** A disk with a log of entries without commands, of these terms. */
function diskOf(term: number, vote: string | null, terms: readonly number[]): Disk {
  const entries = terms.map((of, i): Entry => {
    const at = { index: asIndex(i + 1), term: asTerm(of), time: 0 as ClusterTime };
    return makeEntry({ ...at, kind: "noop", data: new Uint8Array() });
  });
  return { hardState: { term: asTerm(term), vote: vote as NodeId | null }, entries };
}

/**
 * Two leaders before have left different entries, none of them committed (§5.4.2, figure 8), the
 * older one so many.
 */
function leftOvers(older: number): readonly Disk[] {
  const terms = Array.from({ length: older }, () => 1);
  return [diskOf(2, null, terms), diskOf(2, "n2", [2]), diskOf(2, "n2", [])];
}

/** Each is gone through in well under half a minute. */
export const scenarios: readonly Scenario[] = [
  {
    name: "two elections, a crash",
    options: { ...options, bounds: { ...bounds, crashes: 1 } },
  },
  {
    name: "two elections, two commands",
    options: { ...options, bounds: { ...bounds, proposals: 1 } },
  },
  {
    name: "an older log that is longer",
    options: { ...options, bounds: later, disks: leftOvers(3) },
  },
];

/** These take minutes. */
export const largeScenarios: readonly Scenario[] = [
  {
    name: "a leader's beats and silence",
    options: {
      ...options,
      bounds: { ...bounds, proposals: 1, beats: 1, silences: 1, elections: 1 },
    },
  },
  {
    name: "two elections, two commands, a crash",
    options: { ...options, bounds: { ...bounds, proposals: 1, crashes: 1 } },
  },
  {
    name: "figure 8",
    options: { ...options, bounds: later, disks: leftOvers(1), appendEntriesMax: 1 },
  },
  {
    name: "three elections",
    options: { ...options, bounds: { ...bounds, terms: 3, elections: 3 } },
  },
];
