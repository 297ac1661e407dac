/** The files of the log: `wal-<sequence, 16 digits>.log`, numbered from 1 without gaps. */
import type { Index } from "../raft/types.ts";

/** One file of the log. */
export interface Segment {
  readonly sequence: number;
  /** How long the file is. */
  readonly bytes: number;
  /** The highest index of an entry in it, 0 without any: of use until a snapshot covers that. */
  readonly lastIndex: Index;
}

/** The file name of a segment. Names sort as the segments follow each other. */
export function segmentName(sequence: number): string {
  return `wal-${String(sequence).padStart(16, "0")}.log`;
}

/** The sequence number in a segment's file name, or null where this is none. */
export function segmentSequence(name: string): number | null {
  const digits = /^wal-(\d{16})\.log$/.exec(name)?.[1];
  return digits === undefined ? null : Number(digits);
}
