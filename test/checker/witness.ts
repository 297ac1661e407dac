/**
 * The check by witness: every answer names the revision of the store that it belongs to, so the
 * order of all operations is known and only has to be verified. All keys together, in the time that
 * sorting takes. It proves strict serializability if it passes, as long as answers tell revisions;
 * the search by key (linearizable.ts) is the check that does not trust them.
 */
import type { Operation, Out } from "./history.ts";

/** Two answers that cannot both be true, or one that cannot be at all. */
export interface Contradiction {
  /** One sentence. */
  readonly what: string;
  readonly operations: readonly Operation[];
}

/** A change of a key, as an answer told it. */
interface Change {
  readonly revision: number;
  readonly version: number;
  /** Null: deleted. Undefined: only its place is known. */
  readonly value: string | null | undefined;
  /** The write, where it is known which one it was. */
  readonly by: Operation | null;
}

/** An operation and its place among all: a change stands at its revision, a read just behind. */
interface Place {
  readonly at: number;
  readonly operation: Operation;
}

/** Null: all answers agree with one order, and that order with time. */
export function checkWitness(operations: readonly Operation[]): Contradiction | null {
  const told = operations.filter(({ outcome }) => outcome === "ok" || outcome === "refused");
  const found = changesOf(told);
  if ("what" in found) return found;
  const keys = Map.groupBy(operations, ({ key }) => key);
  const places: Place[] = [];
  for (const [key, ofKey] of keys) {
    const contradiction = new KeyCheck(ofKey, found.get(key) ?? []).check(places);
    if (contradiction !== null) return contradiction;
  }
  return checkTime(places);
}

/** The changes that writes told of, by key. A revision belongs to one change of one key. */
function changesOf(told: readonly Operation[]): Map<string, Change[]> | Contradiction {
  const owner = new Map<number, Operation>();
  const changes = new Map<string, Change[]>();
  for (const operation of told) {
    const change = changeBy(operation);
    if (change === null) continue;
    const other = owner.get(change.revision);
    if (other !== undefined) {
      const what = `two writes were both told revision ${change.revision}`;
      return { what, operations: [other, operation] };
    }
    owner.set(change.revision, operation);
    const list = changes.get(operation.key);
    if (list === undefined) changes.set(operation.key, [change]);
    else list.push(change);
  }
  return changes;
}

function changeBy(operation: Operation): Change | null {
  const { op, outcome, out } = operation;
  if (outcome !== "ok" || op === "get" || out?.revision === undefined) return null;
  const { revision, version } = out;
  if (op === "put") return { revision, version, value: operation.in.value, by: operation };
  return out.deleted === 0 ? null : { revision, version: 0, value: null, by: operation };
}

/** Verifies the answers about one key. */
class KeyCheck {
  private readonly operations: readonly Operation[];
  private readonly changes: Change[];
  /** Writes of unknown outcome that no answer has shown to be done, so far. */
  private readonly unseen: Set<Operation>;

  constructor(operations: readonly Operation[], changes: readonly Change[]) {
    this.operations = operations;
    this.changes = [...changes];
    const isUnseen = ({ op, outcome }: Operation) => op !== "get" && outcome === "unknown";
    this.unseen = new Set(operations.filter(isUnseen));
  }

  check(places: Place[]): Contradiction | null {
    const foreign = this.placeUnknown();
    if (foreign !== null) return foreign;
    this.changes.sort((a, b) => a.revision - b.revision);
    const broken = this.checkVersions();
    if (broken !== null) return broken;
    for (const { revision, by } of this.changes) {
      if (by !== null) places.push({ at: revision, operation: by });
    }
    return this.checkReads(places);
  }

  /** What was read, but no known write has written, was written by one of unknown outcome. */
  private placeUnknown(): Contradiction | null {
    const known = new Map(this.changes.map((change) => [change.revision, change]));
    for (const operation of this.operations) {
      const out = readBy(operation);
      if (out?.revision === undefined || out.version === 0 || known.has(out.revision)) continue;
      const by = this.writerOf(operation, out);
      if (by === undefined) {
        const what = `revision ${out.revision} of the key was read, but nobody can have written it`;
        return { what, operations: [operation] };
      }
      if (out.value !== undefined) this.unseen.delete(by);
      const { revision, version, value } = out;
      const change = { revision, version, value, by: value === undefined ? null : by };
      known.set(revision, change);
      this.changes.push(change);
    }
    return null;
  }

  private writerOf(reader: Operation, { value }: Out): Operation | undefined {
    return [...this.unseen].find(
      (write) =>
        write.op === "put" &&
        (value === undefined || write.in.value === value) &&
        write.call <= (reader.return ?? Number.POSITIVE_INFINITY),
    );
  }

  /** From each change to the next, versions count as they must, or unseen writes explain it. */
  private checkVersions(): Contradiction | null {
    const puts = [...this.unseen].filter(({ op }) => op === "put").length;
    const available = { puts, deletes: this.unseen.size - puts };
    let before: Change = { revision: 0, version: 0, value: null, by: null };
    for (const change of this.changes) {
      const problem = misfit(before, change, available);
      if (problem !== null) {
        const operations = [before.by, change.by].filter((by) => by !== null);
        const at = `revision ${change.revision}, after ${before.revision}`;
        return { what: `${problem} (${at})`, operations };
      }
      before = change;
    }
    return null;
  }

  /** A read tells the newest change at or before the revision at which it was made. */
  private checkReads(places: Place[]): Contradiction | null {
    for (const operation of this.operations) {
      const out = readBy(operation);
      if (out === null) continue;
      if (operation.outcome === "refused" && out.version === operation.in.ifVersion) {
        return { what: "refused, though the condition held", operations: [operation] };
      }
      const { storeRevision } = out;
      const at = storeRevision ?? out.revision;
      if (at === undefined) continue;
      const seen = this.changeAt(at);
      const isThere = out.version > 0;
      const revision = seen === null || seen.version === 0 ? undefined : seen.revision;
      const agrees = isThere
        ? revision === out.revision && seen?.version === out.version && sameValue(seen, out)
        : revision === undefined || this.unseenDelete();
      if (!agrees) {
        const [was, read] = [describe(seen), describe(out)];
        const what = `at revision ${at} the key was ${was}, but was read as ${read}`;
        return { what, operations: [...(seen?.by ? [seen.by] : []), operation] };
      }
      if (storeRevision !== undefined) places.push({ at: storeRevision + 0.5, operation });
    }
    return null;
  }

  /** One that nobody was told of may have been in force for a while. */
  private unseenDelete(): boolean {
    return [...this.unseen].some(({ op }) => op === "delete");
  }

  private changeAt(revision: number): Change | null {
    let low = 0;
    let high = this.changes.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.changes[middle]?.revision ?? 0) <= revision) low = middle + 1;
      else high = middle;
    }
    return this.changes[low - 1] ?? null;
  }
}

/** What an answer says of the key as it was found: of gets, refusals and deletes of nothing. */
function readBy({ op, outcome, out }: Operation): Out | null {
  if (out === undefined) return null;
  if (outcome === "refused") return out;
  if (op === "get") return out;
  if (op === "delete" && out.deleted === 0) return { ...out, revision: undefined };
  return null;
}

function sameValue(change: Change | null, { value }: Out): boolean {
  return value === undefined || change?.value === undefined || change.value === value;
}

/** What is wrong with a change as the next one after another, or null. */
function misfit(
  before: Change,
  { revision, version, by }: Change,
  available: { puts: number; deletes: number },
): string | null {
  const condition = by?.in.ifVersion;
  if (condition !== undefined && by?.op === "put" && condition + 1 !== version) {
    return `a put on condition of version ${condition} made version ${version}`;
  }
  // A delete says nothing of the version that it found.
  if (version === 0 && (condition === undefined || condition === before.version)) {
    const wasThere = before.version > 0 || available.puts > 0;
    return wasThere ? null : "a key was deleted that was not there";
  }
  const found = version === 0 ? (condition ?? 0) : version - 1;
  const isLower = found < before.version;
  const puts = isLower ? found : found - before.version;
  const deletes = isLower ? 1 : 0;
  const room = revision - before.revision - 1;
  if (puts > available.puts || deletes > available.deletes || puts + deletes > room) {
    return `version ${before.version} was followed by a change of version ${found}`;
  }
  available.puts -= puts;
  available.deletes -= deletes;
  return null;
}

/** Nothing may come before what had ended when it began. */
function checkTime(places: readonly Place[]): Contradiction | null {
  const ordered = [...places].sort((a, b) => a.at - b.at);
  let latest: Place | null = null;
  let group: Place[] = [];
  for (const place of ordered) {
    if (group[0] !== undefined && group[0].at !== place.at) {
      latest = latestCall(latest, group);
      group = [];
    }
    group.push(place);
    const end = place.operation.return ?? Number.POSITIVE_INFINITY;
    if (latest !== null && end < latest.operation.call) {
      const [later, earlier] = [Math.floor(place.at), Math.floor(latest.at)];
      const what = `what is at revision ${later} had ended before what is at ${earlier} began`;
      return { what, operations: [place.operation, latest.operation] };
    }
  }
  return null;
}

/** Of all operations so far, the one that was called last. */
function latestCall(latest: Place | null, group: readonly Place[]): Place | null {
  return group.reduce((last: Place | null, place) => {
    return last === null || place.operation.call > last.operation.call ? place : last;
  }, latest);
}

function describe(what: Pick<Out, "version" | "revision" | "value"> | null): string {
  if (what === null || what.version === 0) return "not there";
  const value = what.value === undefined ? "" : ` with ${JSON.stringify(what.value)}`;
  return `at version ${what.version} of revision ${what.revision}${value}`;
}
