/**
 * All commands as simple as they can be: plain maps, looked through from end to end, and copied
 * before a transaction. It shares no code with the store but the names of things.
 */
import { byteString } from "../../src/lib/bytes.ts";
import { type Command, encodeCommand, type PlainCommand } from "../../src/kv/command.ts";
import type { Compare, KeyRange, LeaseChoice, Operation, Txn } from "../../src/kv/operation.ts";

/** A key as results show it, its value as text. */
interface Entry {
  readonly key: string;
  readonly value: string;
  readonly version: number;
  readonly createRevision: number;
  readonly modRevision: number;
  readonly lease?: number;
}
interface ModelLease {
  readonly id: number;
  readonly ttlMs: number;
  readonly deadline: number;
  readonly isOwn: boolean;
}
interface Reply {
  readonly name: string;
  readonly bytes: string;
  readonly time: number;
  readonly result: object;
}
/** What a watcher would see. */
interface ModelEvent {
  readonly revision: number;
  readonly key: string;
  readonly type: "put" | "delete" | "expire";
}

const REMEMBERED_MS = 10 * 60_000;
const NUMBER_MAX = 2 ** 53 - 1;

export class WholeModel {
  revision = 1;
  keys = new Map<string, Entry>();
  readonly leases = new Map<number, ModelLease>();
  readonly events: ModelEvent[] = [];
  private nextLease = 1;
  private replies: Reply[] = [];
  private time = 0;
  /** Of the command under way. */
  private at = 0;

  apply(command: Command, time: number): object {
    this.time = time;
    this.at = this.revision + 1;
    if (command.type !== "once") return this.plain(command);
    const { key: name } = command;
    const bytes = byteString(encodeCommand(command.command));
    this.replies = this.replies.filter((reply) => reply.time + REMEMBERED_MS >= time);
    const known = this.replies.find((reply) => reply.name === name);
    if (known === undefined) {
      const result = this.plain(command.command);
      this.replies.push({ name, bytes, time, result: withoutValues(result) as object });
      return result;
    }
    return known.bytes === bytes
      ? { ...known.result, replayed: true }
      : this.refused("IDEMPOTENCY_CONFLICT");
  }

  private plain(command: PlainCommand): object {
    switch (command.type) {
      case "txn":
        return this.txn(command);
      case "grant": {
        if (this.leases.has(command.id)) return this.refused("LEASE_EXISTS");
        return this.done({ leases: [this.grant(command.id, command.ttlMs, false)] });
      }
      case "renew":
        return this.done({ leases: command.ids.map((id) => this.renew(id)) });
      case "revoke": {
        const lease = this.named(command.id);
        if (lease === null) return this.refused("LEASE_NOT_FOUND");
        return this.done({ deleted: this.end(lease, "delete"), leases: [lease] });
      }
      case "expire": {
        let deleted = 0;
        for (const id of command.ids) {
          const lease = this.leases.get(id);
          if (lease !== undefined && lease.deadline <= this.time) {
            deleted += this.end(lease, "expire");
          }
        }
        return this.done({ deleted });
      }
      case "clock":
        return this.done({});
      case "put": {
        const before = this.keys.get(command.key) ?? null;
        const lease = command.lease ?? { kind: "none" };
        if (!this.mayHang(lease)) return this.refused("LEASE_NOT_FOUND", before);
        const current = this.put(command.key, byteString(command.value), lease);
        return this.done({ current, previous: command.returnPrevious ? before : null });
      }
      case "delete": {
        const before = this.keys.get(command.key);
        if (before === undefined) return this.done({});
        this.remove(before, "delete");
        return this.done({ deleted: 1, previous: command.returnPrevious ? before : null });
      }
      case "compact":
        throw new Error("model.ts has these");
    }
  }

  private txn(txn: Txn): object {
    const before = new Map(this.keys);
    const plan = flatten(txn, before);
    for (const each of plan.all) {
      if (each.type === "put" && !this.mayHang(each.lease)) return this.refused("LEASE_NOT_FOUND");
      if (each.type === "increment" && this.sum(each) === null) return this.refused("NOT_A_NUMBER");
    }
    return this.done({ txn: this.carryOut(txn, before) });
  }

  /** Compares see what was `before` everything, operations what is now. */
  private carryOut(txn: Txn, before: ReadonlyMap<string, Entry>): object {
    const succeeded = txn.compares.every((compare) => holds(compare, before));
    const list = succeeded ? txn.success : txn.failure;
    return { succeeded, results: list.map((operation) => this.step(operation, before)) };
  }

  private step(operation: Operation, before: ReadonlyMap<string, Entry>): object {
    const { type } = operation;
    switch (type) {
      case "put": {
        const previous = operation.returnPrevious ? (this.keys.get(operation.key) ?? null) : null;
        const current = this.put(operation.key, byteString(operation.value), operation.lease);
        return { type, current, previous };
      }
      case "delete": {
        const found = inRange(this.keys, operation);
        for (const each of found) this.remove(each, "delete");
        return { type, deleted: found.length, previous: operation.returnPrevious ? found : [] };
      }
      case "get": {
        const found = inRange(this.keys, operation);
        const { limit, keysOnly, countOnly } = operation;
        const page = found.filter((_, at) => !countOnly && (limit === 0 || at < limit));
        const items = page.map((each) => (keysOnly ? { ...each, value: "" } : each));
        return { type, items, count: found.length, more: !countOnly && page.length < found.length };
      }
      case "increment": {
        const value = this.sum(operation) ?? Number.NaN;
        return { type, value, current: this.put(operation.key, `${value}`, { kind: "keep" }) };
      }
      case "txn":
        return { type, ...this.carryOut(operation, before) };
    }
  }

  private sum({ key, by, initial }: Extract<Operation, { type: "increment" }>): number | null {
    const text = this.keys.get(key)?.value ?? String(initial);
    if (!/^-?\d+$/.test(text) || String(Number(text)) !== text || text === "-0") return null;
    const sum = BigInt(text) + BigInt(by);
    const isExact = [BigInt(text), sum].every((each) => -NUMBER_MAX <= each && each <= NUMBER_MAX);
    return isExact ? Number(sum) : null;
  }

  private put(key: string, value: string, choice: LeaseChoice): object {
    const before = this.keys.get(key);
    const keeps = choice.kind === "keep" ? before?.lease : undefined;
    if (keeps === undefined && before !== undefined) this.leave(before);
    let lease = keeps;
    if (choice.kind === "lease") lease = choice.id;
    if (choice.kind === "ttl") lease = this.grant(0, choice.ttlMs, true).id;
    this.revision = this.at;
    const version = (before?.version ?? 0) + 1;
    const createRevision = before?.createRevision ?? this.at;
    const metadata = { version, createRevision, modRevision: this.at, ...(lease && { lease }) };
    this.keys.set(key, { key, value, ...metadata });
    this.events.push({ revision: this.at, key, type: "put" });
    return metadata;
  }

  private remove(entry: Entry, type: "delete" | "expire"): void {
    this.leave(entry);
    this.keys.delete(entry.key);
    this.revision = this.at;
    this.events.push({ revision: this.at, key: entry.key, type });
  }

  /** A lease of its own goes. */
  private leave({ lease = 0 }: Entry): void {
    if (this.leases.get(lease)?.isOwn === true) this.leases.delete(lease);
  }

  private end({ id }: ModelLease, type: "delete" | "expire"): number {
    const all = inRange(this.keys, { key: "", end: null });
    const found = all.filter((entry) => entry.lease === id);
    for (const each of found) this.remove(each, type);
    this.leases.delete(id);
    return found.length;
  }

  private grant(wanted: number, ttlMs: number, isOwn: boolean): ModelLease {
    let id = wanted;
    while (wanted === 0 && (id === 0 || this.leases.has(id))) id = this.nextLease++;
    const lease = { id, ttlMs, deadline: Math.min(this.time + ttlMs, NUMBER_MAX), isOwn };
    this.leases.set(id, lease);
    return lease;
  }

  private renew(id: number): ModelLease | null {
    const lease = this.named(id);
    if (lease === null) return null;
    const renewed = { ...lease, deadline: Math.min(this.time + lease.ttlMs, NUMBER_MAX) };
    this.leases.set(id, renewed);
    return renewed;
  }

  private named(id: number): ModelLease | null {
    const lease = this.leases.get(id);
    return lease === undefined || lease.isOwn ? null : lease;
  }

  private mayHang(lease: LeaseChoice): boolean {
    return lease.kind !== "lease" || this.named(lease.id) !== null;
  }

  private done(more: object): object {
    const { revision } = this;
    return { ok: true, revision, current: null, previous: null, deleted: 0, ...more };
  }

  private refused(code: string, live: Entry | null = null): object {
    const { key: _, value: __, ...current } = live ?? { key: "", value: "" };
    return { ok: false, code, revision: this.revision, current: live === null ? null : current };
  }
}

/** What those are told who ask again: no values that were read, and that they are left out. */
function withoutValues(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutValues);
  if (typeof value !== "object" || value === null) return value;
  const told = Object.entries(value).map(([name, each]) => [name, withoutValues(each)]);
  const all = Object.fromEntries(told) as Record<string, unknown>;
  const { previous, items, more } = all;
  if (previous !== undefined) all["previous"] = Array.isArray(previous) ? [] : null;
  if (!Array.isArray(items)) return all;
  return { ...all, items: [], more: more === true || items.length > 0 };
}

/** What would be carried out, one after another. */
function flatten(txn: Txn, keys: ReadonlyMap<string, Entry>): { readonly all: Operation[] } {
  const list = txn.compares.every((compare) => holds(compare, keys)) ? txn.success : txn.failure;
  return {
    all: list.flatMap((each) => (each.type === "txn" ? flatten(each, keys).all : [each])),
  };
}

type AnyRange = { readonly key: string; readonly end: KeyRange["end"] };

function inRange(keys: ReadonlyMap<string, Entry>, { key, end }: AnyRange): Entry[] {
  const sorted = [...keys.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
  if (end === "single") return sorted.filter((entry) => entry.key === key);
  return sorted.filter((entry) => entry.key >= key && (end === null || entry.key < end));
}

function holds(compare: Compare, keys: ReadonlyMap<string, Entry>): boolean {
  const found = inRange(keys, compare);
  if (compare.target === "value") {
    const { relation, value } = compare;
    const order = (entry: Entry) => sign(entry.value, byteString(value));
    return found.length > 0 && found.every((entry) => agrees(order(entry), relation));
  }
  const { target, relation, number } = compare;
  const numbers = found.length === 0 ? [0] : found.map((entry) => entry[target] ?? 0);
  return numbers.every((each) => agrees(sign(each, number), relation));
}

function sign<Of extends string | number>(a: Of, b: Of): number {
  return a === b ? 0 : a < b ? -1 : 1;
}

function agrees(order: number, relation: Compare["relation"]): boolean {
  return { "=": order === 0, "!=": order !== 0, "<": order < 0, ">": order > 0 }[relation];
}
