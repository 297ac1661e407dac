/**
 * The check by witness: every answer names the revision of the store that it belongs to, so the
 * order of all operations is known and only has to be verified. All keys together, in the time that
 * sorting takes. It proves strict serializability if it passes, as long as answers tell revisions;
 * the search (linearizable.ts) is the check that does not trust them.
 */
import type { AnyOperation } from "./history.ts";
import { Keys } from "./keys.ts";
import { Replay } from "./replay.ts";
import { type Task, tasksOf } from "./task.ts";
import { placeUnseen } from "./unseen.ts";

/** Two answers that cannot both be true, or one that cannot be at all. */
export interface Contradiction {
  /** One sentence. */
  readonly what: string;
  readonly operations: readonly AnyOperation[];
}

/** An operation and its place among all: a change stands at its revision, a read just behind. */
interface Place {
  readonly at: number;
  readonly operation: AnyOperation;
}

/** Null: all answers agree with one order, and that order with time. */
export function checkWitness(operations: readonly AnyOperation[]): Contradiction | null {
  const keys = new Keys(operations);
  const tasks = tasksOf(operations, keys);
  const owners = ownersOf(tasks);
  if ("what" in owners) return owners;
  const unseen = tasks.filter(
    (task) => task.revision === null && task.readAt === null && mayWrite(task),
  );
  const placed = placeUnseen(tasks, owners, unseen);
  if ("what" in placed) return placed;
  const told = [...tasks.filter((task) => task.succeeded !== null), ...placed.found];
  const replay = new Replay({ keys, owners, unseen: placed.left });
  for (const { task, revision } of turnsOf(told)) {
    const wrong = replay.take({ task, revision });
    if (wrong === null) continue;
    const involved = wrong.by === null ? [] : [wrong.by.operation];
    return { what: wrong.what, operations: [...involved, task.operation] };
  }
  return checkTime(told);
}

/** By revision. A revision belongs to one change. */
function ownersOf(tasks: readonly Task[]): Map<number, Task> | Contradiction {
  const owners = new Map<number, Task>();
  for (const task of tasks) {
    if (task.revision === null) continue;
    const other = owners.get(task.revision);
    if (other !== undefined) {
      const what = `two writes were both told revision ${task.revision}`;
      return { what, operations: [other.operation, task.operation] };
    }
    owners.set(task.revision, task);
  }
  return owners;
}

/** Whether it was told of no place that it must have, and may have changed something. */
function mayWrite({ succeeded, writes }: Task): boolean {
  return succeeded === null || writes;
}

/** In the order of revisions: at each the change first, then those that have read it. */
function turnsOf(tasks: readonly Task[]): { readonly task: Task; readonly revision: number }[] {
  const turns = tasks.flatMap((task) => {
    const revision = task.revision ?? task.readAt;
    return revision === null ? [] : [{ task, revision }];
  });
  const order = ({ task }: { readonly task: Task }) => (task.revision === null ? 1 : 0);
  return turns.sort((a, b) => a.revision - b.revision || order(a) - order(b));
}

/** Nothing may come before what had ended when it began. */
function checkTime(tasks: readonly Task[]): Contradiction | null {
  const places: Place[] = tasks.flatMap(({ operation, revision, storeRevision }) => {
    if (revision !== null) return [{ at: revision, operation }];
    return storeRevision === null ? [] : [{ at: storeRevision + 0.5, operation }];
  });
  places.sort((a, b) => a.at - b.at);
  let latest: Place | null = null;
  let group: Place[] = [];
  for (const place of places) {
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
