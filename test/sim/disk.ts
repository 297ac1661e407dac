/**
 * A disk in memory that forgets what was not synced.
 *
 * It keeps apart what programs can read and what would survive a power cut. A power cut may leave
 * of an unsynced write any of its sectors, with zeros where the others would be, and any length of
 * the file in between; unsynced creations, renames, removals and truncations may each be kept or
 * lost. A failed fsync leaves what it should have written in the cache, and nowhere else.
 * All these choices come from a Random: a seed makes one history, `everyPath` makes them all.
 */
import { assert, must } from "../../src/lib/assert.ts";
import type { Random } from "../../src/lib/random.ts";
import type { Disk, Done, Range } from "../../src/storage/disk.ts";
import { StorageError } from "../../src/storage/storage-error.ts";

/** Something that takes time. */
export interface Operation {
  readonly kind: "read" | "append" | "truncate" | "rename";
  readonly name: string;
  /** How many bytes it moves. */
  readonly bytes: number;
}

/**
 * Told of each operation that begins; calls `complete` when it should end. Never means: hung. An
 * operation that has `failed` is never answered, and the process must end with it.
 */
export type Schedule = (operation: Operation, complete: Complete) => void;
export type Complete = (how?: "failed") => void;

type Change =
  | { readonly kind: "write"; readonly offset: number; readonly bytes: Uint8Array }
  | { readonly kind: "truncate"; readonly length: number };

/** A change of a file that is not synced. */
interface Pending {
  readonly change: Change;
  /** The call that made it has not ended, so a process that is killed may not have finished it. */
  readonly inFlight: boolean;
  /**
   * Its fsync has failed: the system takes the pages for clean, and a later fsync, which succeeds,
   * does not write them. Until they leave the cache they can be read.
   */
  readonly isForgotten: boolean;
}

interface Inode {
  durable: Uint8Array;
  pending: Pending[];
}

type NameChange =
  | { readonly kind: "create"; readonly name: string; readonly inode: Inode }
  | { readonly kind: "remove"; readonly name: string }
  | { readonly kind: "rename"; readonly name: string; readonly to: string; readonly inode: Inode };

interface PendingName {
  readonly change: NameChange;
  inFlight: boolean;
}

/** An operation that was begun: what its end does, and which file it changes. */
interface Begun {
  readonly end: () => void;
  readonly inode: Inode | null;
}

/** The calls for one file begin one after another. */
interface Lane {
  busy: boolean;
  readonly waiting: (() => void)[];
}

const SECTOR_BYTES = 512;
/** Writes of up to so many sectors are torn in every way, longer ones only in typical ways. */
const SECTORS_TORN_FREELY = 5;

export class SimDisk implements Disk {
  private readonly schedule: Schedule;
  /** What programs see. */
  private names = new Map<string, Inode>();
  private durableNames = new Map<string, Inode>();
  private pendingNames: PendingName[] = [];
  private lanes = new Map<string, Lane>();
  /** Files whose name this process has synced. */
  private entered = new Set<string>();
  /** Calls of a process that has died are never answered. */
  private life = 0;

  constructor(schedule: Schedule) {
    this.schedule = schedule;
  }

  list(): readonly string[] {
    return [...this.names.keys()].sort();
  }

  read(name: string, range?: Range): Uint8Array {
    const inode = this.names.get(name);
    if (inode === undefined) throw new StorageError(`cannot read ${name}: there is no such file`);
    const bytes = contentOf(inode);
    if (range === undefined) return bytes.slice();
    return bytes.slice(range.offset, range.offset + range.length);
  }

  readAt(name: string, range: Range, done: (bytes: Uint8Array) => void): void {
    this.run({ kind: "read", name, bytes: range.length }, () => {
      // Before a removal that waits for it.
      const bytes = this.read(name, range);
      return { end: () => done(bytes), inode: null };
    });
  }

  append(name: string, chunks: readonly Uint8Array[], done: Done): void {
    const bytes = concat(chunks);
    this.run({ kind: "append", name, bytes: bytes.length }, () => {
      const inode = this.names.get(name) ?? this.create(name);
      const offset = contentOf(inode).length;
      if (bytes.length > 0) this.change(inode, { kind: "write", offset, bytes });
      const end = () => {
        sync(inode);
        if (!this.entered.has(name)) this.syncNames();
        this.entered.add(name);
        done();
      };
      return { end, inode };
    });
  }

  truncate(name: string, length: number, done: Done): void {
    this.run({ kind: "truncate", name, bytes: 0 }, () => {
      const inode = must(this.names.get(name), "no such file");
      this.change(inode, { kind: "truncate", length });
      const end = () => {
        sync(inode);
        done();
      };
      return { end, inode };
    });
  }

  rename(from: string, to: string, done: Done): void {
    this.run({ kind: "rename", name: from, bytes: 0 }, () => {
      const inode = must(this.names.get(from), "no such file");
      this.changeName({ kind: "rename", name: from, to, inode });
      this.entered.delete(from);
      this.entered.delete(to);
      const end = () => {
        this.syncNames();
        done();
      };
      return { end, inode: null };
    });
  }

  remove(name: string): void {
    this.enqueue(name, (next) => {
      if (this.names.has(name)) this.changeName({ kind: "remove", name });
      this.entered.delete(name);
      next();
    });
  }

  /** Power is cut, and comes back: only what was synced is sure to be there. */
  powerCut(random: Random): void {
    const names = new Map(this.durableNames);
    for (const { change } of this.pendingNames) {
      if (random.below(2) === 0) applyName(names, change);
    }
    this.restart(names);
    for (const name of this.list()) {
      const inode = must(this.names.get(name), "listed");
      for (const { change } of inode.pending)
        inode.durable = survive(inode.durable, change, random);
      inode.pending = [];
    }
    this.durableNames = new Map(this.names);
    this.pendingNames = [];
  }

  /**
   * The process dies, the machine goes on: what was written can be read but is no more durable than
   * before, and what was being written may be there in part.
   */
  kill(random: Random): void {
    const names = new Map(this.durableNames);
    this.pendingNames = this.pendingNames.filter(({ change, inFlight }) => {
      const isDone = !inFlight || random.below(2) === 0;
      if (isDone) applyName(names, change);
      return isDone;
    });
    this.restart(names);
    for (const pending of this.pendingNames) pending.inFlight = false;
    for (const name of this.list()) {
      const inode = must(this.names.get(name), "listed");
      inode.pending = inode.pending.flatMap(({ change, inFlight, isForgotten }) => {
        const left = inFlight ? interrupted(change, random) : change;
        return left === null ? [] : [{ change: left, inFlight: false, isForgotten }];
      });
      if (inode.pending.some(({ isForgotten }) => isForgotten) && random.below(2) === 0) {
        inode.pending = inode.pending.filter(({ isForgotten }) => !isForgotten);
      }
    }
  }

  /** Whatever fsync is under way fails, and the process ends. */
  failSync(random: Random): void {
    for (const inode of new Set(this.names.values())) {
      if (inode.pending.some(({ inFlight }) => inFlight)) forget(inode);
    }
    this.kill(random);
  }

  /** The disk of a machine that is in the same state. Nothing that is under way there ends here. */
  fork(schedule: Schedule): SimDisk {
    const copy = new SimDisk(schedule);
    const inodes = new Map<Inode, Inode>();
    const copyOf = (inode: Inode): Inode => {
      const known = inodes.get(inode);
      if (known !== undefined) return known;
      const made = { durable: inode.durable, pending: inode.pending.map((each) => ({ ...each })) };
      inodes.set(inode, made);
      return made;
    };
    for (const [name, inode] of this.names) copy.names.set(name, copyOf(inode));
    for (const [name, inode] of this.durableNames) copy.durableNames.set(name, copyOf(inode));
    copy.pendingNames = this.pendingNames.map(({ change, inFlight }) => ({
      change: change.kind === "remove" ? change : { ...change, inode: copyOf(change.inode) },
      inFlight,
    }));
    return copy;
  }

  /** Another disk is in its place, with nothing on it. */
  wipe(): void {
    this.pendingNames = [];
    this.durableNames = new Map();
    this.restart(new Map());
  }

  /** Replaces a file, durably, behind everybody's back. Null: it is gone. */
  corrupt(name: string, bytes: Uint8Array | null): void {
    const inode = bytes === null ? null : { durable: bytes, pending: [] };
    for (const names of [this.names, this.durableNames]) {
      if (inode === null) names.delete(name);
      else names.set(name, inode);
    }
  }

  private create(name: string): Inode {
    const inode = { durable: new Uint8Array(), pending: [] };
    this.changeName({ kind: "create", name, inode });
    return inode;
  }

  private change(inode: Inode, change: Change): void {
    inode.pending.push({ change, inFlight: true, isForgotten: false });
  }

  private changeName(change: NameChange): void {
    applyName(this.names, change);
    this.pendingNames.push({ change, inFlight: change.kind !== "remove" });
  }

  private syncNames(): void {
    for (const { change } of this.pendingNames) applyName(this.durableNames, change);
    this.pendingNames = [];
  }

  private restart(names: Map<string, Inode>): void {
    this.names = names;
    this.lanes = new Map();
    this.entered = new Set();
    this.life++;
  }

  /** Runs an operation when its file is free: `begin` does it, and returns what its end does. */
  private run(operation: Operation, begin: () => Begun): void {
    this.enqueue(operation.name, (next) => {
      const { life } = this;
      const { end, inode } = begin();
      this.schedule(operation, (how) => {
        if (life !== this.life) return;
        if (how === "failed") return forget(inode);
        next();
        end();
      });
    });
  }

  private enqueue(name: string, run: (next: Done) => void): void {
    const lane = this.lanes.get(name) ?? { busy: false, waiting: [] };
    this.lanes.set(name, lane);
    const next = () => {
      const waiting = lane.waiting.shift();
      lane.busy = waiting !== undefined;
      waiting?.();
    };
    lane.waiting.push(() => run(next));
    if (!lane.busy) next();
  }
}

/** What is taken for clean stays behind; for it there are zeros, as the length is synced. */
function sync(inode: Inode): void {
  const { length } = contentOf(inode);
  let forgotten: Pending[] = [];
  for (const pending of inode.pending) {
    const { change } = pending;
    if (pending.isForgotten) {
      forgotten.push(pending);
      continue;
    }
    inode.durable = apply(inode.durable, change);
    if (change.kind === "truncate") {
      forgotten = forgotten.flatMap((each) => clipped(each, change.length));
    }
  }
  if (inode.durable.length < length) inode.durable = padded(inode.durable, length);
  inode.pending = forgotten;
}

/** An fsync of the file has failed. */
function forget(inode: Inode | null): void {
  if (inode === null) return;
  inode.pending = inode.pending.map(({ change }) => {
    return { change, inFlight: false, isForgotten: true };
  });
}

function clipped(pending: Pending, length: number): Pending[] {
  const { change } = pending;
  if (change.kind === "truncate") return [pending];
  const { offset, bytes } = change;
  if (offset >= length) return [];
  return [{ ...pending, change: { ...change, bytes: bytes.subarray(0, length - offset) } }];
}

function padded(bytes: Uint8Array, length: number): Uint8Array {
  const longer = new Uint8Array(length);
  longer.set(bytes);
  return longer;
}

function contentOf({ durable, pending }: Inode): Uint8Array {
  return pending.reduce((bytes, { change }) => apply(bytes, change), durable);
}

function apply(bytes: Uint8Array, change: Change): Uint8Array {
  if (change.kind === "truncate") return bytes.slice(0, change.length);
  const changed = new Uint8Array(Math.max(bytes.length, change.offset + change.bytes.length));
  changed.set(bytes);
  changed.set(change.bytes, change.offset);
  return changed;
}

function applyName(names: Map<string, Inode>, change: NameChange): void {
  switch (change.kind) {
    case "create":
      names.set(change.name, change.inode);
      return;
    case "remove":
      names.delete(change.name);
      return;
    case "rename":
      if (names.get(change.name) === change.inode) names.delete(change.name);
      names.set(change.to, change.inode);
      return;
  }
}

/** What a power cut leaves of an unsynced change. */
function survive(bytes: Uint8Array, change: Change, random: Random): Uint8Array {
  if (change.kind === "truncate") return random.below(2) === 0 ? apply(bytes, change) : bytes;
  const end = change.offset + change.bytes.length;
  const first = Math.floor(change.offset / SECTOR_BYTES);
  const touched = Math.ceil(end / SECTOR_BYTES) - first;
  const covered = touched - random.below(touched + 1);
  if (covered === 0) return bytes;
  const length = Math.min(end, (first + covered) * SECTOR_BYTES);
  const torn = new Uint8Array(Math.max(bytes.length, length));
  torn.set(bytes);
  const isThere = sectorChoice(covered, random);
  for (let sector = 0; sector < covered; sector++) {
    if (!isThere(sector)) continue;
    const from = Math.max(change.offset, (first + sector) * SECTOR_BYTES);
    const to = Math.min(end, (first + sector + 1) * SECTOR_BYTES);
    torn.set(change.bytes.subarray(from - change.offset, to - change.offset), from);
  }
  return torn;
}

/** Which of the sectors were written. */
function sectorChoice(count: number, random: Random): (sector: number) => boolean {
  if (count <= SECTORS_TORN_FREELY) {
    const there = Array.from({ length: count }, () => random.below(2) === 0);
    return (sector) => there[sector] ?? false;
  }
  const pattern = random.below(4);
  const odd = pattern < 2 ? random.below(count) : 0;
  const patterns = [
    (sector: number) => sector !== odd,
    (sector: number) => sector === odd,
    () => true,
    () => false,
  ];
  return must(patterns[pattern], "one of four");
}

/** What a killed process leaves of a change it was making: whole sectors from the beginning. */
function interrupted(change: Change, random: Random): Change | null {
  if (change.kind === "truncate") return random.below(2) === 0 ? change : null;
  const { offset, bytes } = change;
  const first = Math.floor(offset / SECTOR_BYTES);
  const touched = Math.ceil((offset + bytes.length) / SECTOR_BYTES) - first;
  const kept = touched - random.below(touched + 1);
  if (kept === 0) return null;
  assert(kept <= touched, "no more than was written");
  const length = Math.min(bytes.length, (first + kept) * SECTOR_BYTES - offset);
  return { kind: "write", offset, bytes: bytes.subarray(0, length) };
}

function concat(chunks: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}
