/** The Disk on a real file system: one private, locked directory, through Node's fs. */
import {
  closeSync,
  fdatasync,
  fsync,
  ftruncate,
  open,
  openSync,
  readdirSync,
  rename,
  statSync,
  unlink,
} from "node:fs";
import { join, resolve } from "node:path";
import type { Disk, Done, Range } from "./disk.ts";
import { makePrivate, readRange, readRangeNow, reason, writeAll } from "./node-files.ts";
import { lockDirectory, type Unlock } from "./node-lock.ts";
import { StorageError } from "./storage-error.ts";

/** Where the data is, and who is told what becomes of it. */
export interface NodeDiskOptions {
  readonly path: string;
  /**
   * Called once, at the first error of a write, fsync or read after the start. `what` is one line
   * for the operator. The disk is dead then and calls no `done` any more: the process must end.
   */
  readonly fail: (error: Error, what: string) => void;
  /** Told how many milliseconds each fsync of a file took. */
  readonly onSync?: (ms: number) => void;
}

/**
 * Makes the directory if there is none, makes it private (mode 0700, files 0600) and locks it.
 * Throws StorageError where that cannot be, or where another process has it.
 */
export async function openNodeDisk(options: NodeDiskOptions): Promise<NodeDisk> {
  const path = resolve(options.path);
  try {
    makePrivate(path);
  } catch (error) {
    throw new StorageError(`cannot use ${path} as data directory: ${reason(error)}`, {
      cause: error,
    });
  }
  const unlock = await lockDirectory(path);
  return new NodeDisk({ ...options, path }, unlock);
}

/** The calls for one file, one after another. */
interface Lane {
  readonly name: string;
  readonly waiting: ((next: Done) => void)[];
  busy: boolean;
  /** Open for appending, once that was asked for. */
  fd: number | null;
  /** Whether this process has made sure that the directory entry is durable. */
  entered: boolean;
}

/** See Disk and openNodeDisk. */
export class NodeDisk implements Disk {
  readonly #options: NodeDiskOptions;
  readonly #unlock: Unlock;
  readonly #directory: number;
  readonly #lanes = new Map<string, Lane>();
  #failed = false;
  /** Called whenever nothing is under way any more. */
  #idle: Done = () => {};

  /** Made by openNodeDisk. */
  constructor(options: NodeDiskOptions, unlock: Unlock) {
    this.#options = options;
    this.#unlock = unlock;
    this.#directory = openSync(options.path, "r");
  }

  list(): readonly string[] {
    const files = readdirSync(this.#options.path, { withFileTypes: true });
    return files.flatMap((file) => (file.isFile() ? [file.name] : [])).sort();
  }

  read(name: string, range?: Range): Uint8Array {
    try {
      const fd = openSync(this.#pathOf(name), "r");
      try {
        const length = range?.length ?? statSync(this.#pathOf(name)).size;
        return readRangeNow(fd, { offset: range?.offset ?? 0, length });
      } finally {
        closeSync(fd);
      }
    } catch (error) {
      throw new StorageError(`cannot read ${name}: ${reason(error)}`, { cause: error });
    }
  }

  readAt(name: string, range: Range, done: (bytes: Uint8Array) => void): void {
    const what = `read ${name}`;
    this.#enqueue(name, (_lane, next) => {
      open(this.#pathOf(name), "r", (error, fd) => {
        if (this.#hasFailed(error, what)) return;
        readRange(fd, range, (readError, bytes) => {
          closeSync(fd);
          if (this.#hasFailed(readError, what)) return;
          next();
          done(bytes);
        });
      });
    });
  }

  append(name: string, chunks: readonly Uint8Array[], done: Done): void {
    const what = `append to ${name}`;
    this.#enqueue(name, (lane, next) => {
      const finish = () => {
        lane.entered = true;
        next();
        done();
      };
      this.#withFile(lane, what, (fd) => {
        writeAll(fd, chunks, (error) => {
          if (this.#hasFailed(error, what)) return;
          this.#sync(fd, what, () => {
            if (lane.entered) finish();
            else this.#syncDirectory(what, finish);
          });
        });
      });
    });
  }

  truncate(name: string, length: number, done: Done): void {
    const what = `cut ${name}`;
    this.#enqueue(name, (lane, next) => {
      this.#withFile(lane, what, (fd) => {
        ftruncate(fd, length, (error) => {
          if (this.#hasFailed(error, what)) return;
          this.#sync(fd, what, () => {
            next();
            done();
          });
        });
      });
    });
  }

  rename(from: string, to: string, done: Done): void {
    const what = `rename ${from}`;
    this.#enqueue(from, (lane, next) => {
      this.#closeFile(lane);
      const replaced = this.#lanes.get(to);
      if (replaced !== undefined) this.#closeFile(replaced);
      rename(this.#pathOf(from), this.#pathOf(to), (error) => {
        if (this.#hasFailed(error, what)) return;
        this.#syncDirectory(what, () => {
          next();
          done();
        });
      });
    });
  }

  remove(name: string): void {
    this.#enqueue(name, (lane, next) => {
      this.#closeFile(lane);
      unlink(this.#pathOf(name), (error) => {
        const isGone = error === null || error.code === "ENOENT";
        if (!this.#hasFailed(isGone ? null : error, `remove ${name}`)) next();
      });
    });
  }

  /** Closes all files and unlocks the directory, once what was begun has ended. Call it last. */
  async close(): Promise<void> {
    while (!this.#isIdle()) {
      await new Promise<void>((resolve) => {
        this.#idle = resolve;
      });
    }
    for (const lane of this.#lanes.values()) this.#closeFile(lane);
    closeSync(this.#directory);
    await this.#unlock();
  }

  #pathOf(name: string): string {
    return join(this.#options.path, name);
  }

  #enqueue(name: string, run: (lane: Lane, next: Done) => void): void {
    if (this.#failed) return;
    let lane = this.#lanes.get(name);
    if (lane === undefined) {
      lane = { name, waiting: [], busy: false, fd: null, entered: false };
      this.#lanes.set(name, lane);
    }
    const found = lane;
    found.waiting.push((next) => run(found, next));
    if (!found.busy) this.#next(found);
  }

  #next(lane: Lane): void {
    const run = lane.waiting.shift();
    lane.busy = run !== undefined;
    if (run !== undefined) run(() => this.#next(lane));
    else if (lane.fd === null) this.#lanes.delete(lane.name);
    if (this.#isIdle()) this.#idle();
  }

  /** After a failure nothing goes on, so there is nothing to wait for. */
  #isIdle(): boolean {
    return this.#failed || [...this.#lanes.values()].every((lane) => !lane.busy);
  }

  /** Whether to stop here: because of this error, or of any before. */
  #hasFailed(error: Error | null, what: string): boolean {
    if (this.#failed || error === null) return this.#failed;
    this.#failed = true;
    this.#idle();
    this.#options.fail(error, `cannot ${what}: ${reason(error)}`);
    return true;
  }

  #withFile(lane: Lane, what: string, then: (fd: number) => void): void {
    if (lane.fd !== null) return then(lane.fd);
    open(this.#pathOf(lane.name), "a", 0o600, (error, fd) => {
      if (this.#hasFailed(error, what)) return;
      lane.fd = fd;
      then(fd);
    });
  }

  #closeFile(lane: Lane): void {
    if (lane.fd !== null) closeSync(lane.fd);
    lane.fd = null;
    lane.entered = false;
  }

  #sync(fd: number, what: string, then: Done): void {
    const start = performance.now();
    fdatasync(fd, (error) => {
      if (this.#hasFailed(error, what)) return;
      this.#options.onSync?.(performance.now() - start);
      then();
    });
  }

  #syncDirectory(what: string, then: Done): void {
    fsync(this.#directory, (error) => {
      if (!this.#hasFailed(error, what)) then();
    });
  }
}
