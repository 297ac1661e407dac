/** What node:fs lacks: whole reads and writes, private directories, errors that tell what to do. */
import {
  chmodSync,
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  read,
  readSync,
  statSync,
  writev,
} from "node:fs";
import { dirname } from "node:path";
import type { Range } from "./disk.ts";

type Failure = Error | null;

/** Makes the directory if need be, its entry durable, and access to it the owner's only. */
export function makePrivate(path: string): void {
  const first = mkdirSync(path, { recursive: true, mode: 0o700 });
  for (let made = path; first !== undefined && made.length >= first.length; made = dirname(made)) {
    syncNow(dirname(made));
  }
  if ((statSync(path).mode & 0o077) !== 0) chmodSync(path, 0o700);
}

function syncNow(directory: string): void {
  const fd = openSync(directory, "r");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Reads a range at once; less than asked at the end of the file. */
export function readRangeNow(fd: number, { offset, length }: Range): Uint8Array {
  const bytes = new Uint8Array(length);
  let filled = 0;
  while (filled < length) {
    const count = readSync(fd, bytes, filled, length - filled, offset + filled);
    if (count === 0) break;
    filled += count;
  }
  return bytes.subarray(0, filled);
}

/** Reads a range; less than asked at the end of the file. */
export function readRange(
  fd: number,
  { offset, length }: Range,
  done: (error: Failure, bytes: Uint8Array) => void,
): void {
  const bytes = new Uint8Array(length);
  const readFrom = (filled: number): void => {
    read(fd, bytes, { offset: filled, position: offset + filled }, (error, count) => {
      const total = filled + count;
      if (error !== null || count === 0 || total === length) done(error, bytes.subarray(0, total));
      else readFrom(total);
    });
  };
  readFrom(0);
}

/** Writes all the chunks where the file stands, also where the system takes only a part at once. */
export function writeAll(
  fd: number,
  chunks: readonly Uint8Array[],
  done: (error: Failure) => void,
): void {
  const left = chunks.filter((chunk) => chunk.length > 0);
  if (left.length === 0) return done(null);
  writev(fd, left, (error, count) => {
    if (error !== null) done(error);
    else if (count === 0) done(new Error("nothing was written"));
    else writeAll(fd, without(left, count), done);
  });
}

/** What is left of the chunks after their first `count` bytes. */
function without(chunks: readonly Uint8Array[], count: number): readonly Uint8Array[] {
  let skip = count;
  return chunks.map((chunk) => {
    const rest = chunk.subarray(skip);
    skip = Math.max(0, skip - chunk.length);
    return rest;
  });
}

const ADVICE: ReadonlyMap<string, string> = new Map([
  ["ENOSPC", "the disk is full; make room, then start again"],
  ["EDQUOT", "the disk quota is used up; raise it or make room, then start again"],
  ["EIO", "the disk has failed; check it before this node starts again"],
  ["EROFS", "the file system is read-only; see the kernel's log for why, and mount it again"],
  ["EACCES", "access is denied; the directory must belong to the user who runs this"],
  ["EPERM", "not permitted; the directory must belong to the user who runs this"],
  ["EMFILE", "too many open files; raise the limit (ulimit -n)"],
  ["ENFILE", "too many open files on this machine"],
  ["EFBIG", "the file would exceed the size limit (ulimit -f)"],
]);

/** What an error means for the operator. */
export function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = "code" in error && typeof error.code === "string" ? error.code : "";
  const advice = ADVICE.get(code);
  return advice === undefined ? error.message : `${advice} (${code})`;
}
