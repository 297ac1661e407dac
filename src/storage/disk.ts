/** The only file system that this program knows: flat names in one data directory. */

/** Called once, when the bytes and the directory entry are durable. Failure never returns. */
export type Done = () => void;

/** A part of a file. */
export interface Range {
  readonly offset: number;
  readonly length: number;
}

/**
 * One data directory. Writes are durable when `done` is called, and not before. A failed write or
 * fsync is never reported: the implementation ends the process, since after a failed fsync nobody
 * knows what is on disk. Calls for one file complete in the order in which they were made.
 */
export interface Disk {
  /** The names of all files, sorted. At start only. */
  list(): readonly string[];
  /** A whole file, or a part of it; less than asked at the end of the file. At start only. */
  read(name: string, range?: Range): Uint8Array;
  /** A part of a file; less than asked at the end of the file. */
  readAt(name: string, range: Range, done: (bytes: Uint8Array) => void): void;
  /**
   * Writes the chunks at the end of the file, then fsyncs. Makes the file where there is none.
   * The chunks must not change until `done`. No chunks at all only fsyncs. The first append of a
   * process to a file makes all names in the directory durable too: those that an earlier process
   * gave may not be, although they can be read.
   */
  append(name: string, chunks: readonly Uint8Array[], done: Done): void;
  /** Cuts the file to `length` bytes, durably. */
  truncate(name: string, length: number, done: Done): void;
  /** Gives the file another name, durably, replacing what had that name. */
  rename(from: string, to: string, done: Done): void;
  /** Removes the file, if there is one. A crash may undo it. */
  remove(name: string): void;
}
