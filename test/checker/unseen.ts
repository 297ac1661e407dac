/** Finds out of which write of unknown outcome a value comes that somebody has read. */
import type { AnyOperation, StepOut } from "./history.ts";
import type { Step, Task } from "./task.ts";

/** A change that was read, of a key. */
interface Seen {
  readonly at: number;
  readonly revision: number;
  readonly told: StepOut;
  readonly reader: Task;
}

/** Writes that turned out to be done, with their revisions, and those that nobody has seen. */
export interface Placed {
  readonly found: readonly Task[];
  readonly left: readonly Task[];
}

/** Nobody can have written what was read. */
interface NoWriter {
  /** One sentence. */
  readonly what: string;
  /** Who has read it. */
  readonly operations: readonly AnyOperation[];
}

/**
 * What was read under a revision that no answer has told of was written by one of `unseen`: one
 * that writes that value, and then has this revision, which goes to `owners`; or one that can have
 * written the key, where the value does not tell.
 */
export function placeUnseen(
  tasks: readonly Task[],
  owners: Map<number, Task>,
  unseen: readonly Task[],
): Placed | NoWriter {
  const left = new Set(unseen);
  const found: Task[] = [];
  const writers = writersOf(unseen);
  const seen = tasks.flatMap(changesSeenBy).filter(({ revision }) => !owners.has(revision));
  for (const { at, revision, told, reader } of seen) {
    if (owners.has(revision) || told.value === undefined) continue;
    const writer = writers.get(`${at} ${told.value}`)?.find(({ task }) => {
      return left.has(task) && isInTime(task, reader);
    });
    if (writer === undefined) continue;
    left.delete(writer.task);
    const either = writers.get(`${at} ${told.value}`)?.filter(({ task }) => task === writer.task);
    const succeeded = either?.length === 1 ? writer.succeeded : null;
    const task = { ...writer.task, succeeded, writes: true, revision };
    owners.set(revision, task);
    found.push(task);
  }
  const open = seen.filter(({ revision }) => !owners.has(revision));
  for (const { at, revision, reader, told } of open) {
    const mayBe = [...left].some((task) => isInTime(task, reader) && mayHaveMade(task, at, told));
    if (mayBe) continue;
    const what = `revision ${revision} of the key was read, but nobody can have written it`;
    return { what, operations: [reader.operation] };
  }
  return { found, left: [...left] };
}

function isInTime({ operation }: Task, reader: Task): boolean {
  return operation.call <= (reader.operation.return ?? Number.POSITIVE_INFINITY);
}

/** By key and value, and by which of its lists each writes it. */
function writersOf(unseen: readonly Task[]) {
  const writers = new Map<string, { readonly task: Task; readonly succeeded: boolean }[]>();
  for (const task of unseen) {
    for (const succeeded of [true, false]) {
      for (const step of succeeded ? task.success : task.failure) {
        if (step.kind !== "put") continue;
        const name = `${step.at} ${step.value}`;
        const list = writers.get(name);
        if (list === undefined) writers.set(name, [{ task, succeeded }]);
        else list.push({ task, succeeded });
      }
    }
  }
  return writers;
}

/** A put whose value was not told, or an increment, which tells nothing of who counted. */
function mayHaveMade({ success, failure }: Task, at: number, { value }: StepOut): boolean {
  return [...success, ...failure].some((step) => {
    if (step.kind === "increment") return step.at === at;
    return step.kind === "put" && step.at === at && value === undefined;
  });
}

/** The last changes of keys that an answer tells of. */
function changesSeenBy(reader: Task): Seen[] {
  const steps = [...reader.success, ...reader.failure];
  return steps
    .flatMap((step) => toldIn(step))
    .flatMap(([at, told]) => {
      const { version = 0, revision } = told;
      if (version === 0 || revision === undefined) return [];
      return [{ at, revision, told, reader }];
    });
}

function toldIn(step: Step): (readonly [number, StepOut])[] {
  if (step.kind === "range") return [...step.items];
  return step.kind === "get" && step.told !== null ? [[step.at, step.told]] : [];
}
