/** Which operations must be looked at together: those on keys that some operation has joined. */
import type { AnyOperation } from "./history.ts";
import { Keys } from "./keys.ts";
import { keysOf, type Task, tasksOf } from "./task.ts";

/** Some keys, and all tasks on them, by the time of their calls. */
export interface Group {
  /** The names of its keys, in order. */
  readonly names: readonly string[];
  readonly tasks: readonly Task[];
}

/**
 * Splits a history into groups that share no key, each as small as can be: a history is
 * linearizable if each of them is (Herlihy and Wing). Reads of the past are left out: whoever looks
 * at a group knows only its newest state.
 */
export function groupsOf(
  operations: readonly AnyOperation[],
  options: { readonly ignoreRevisions: boolean },
): Group[] {
  const present = operations.filter((each) => each.op !== "range" || each.in.at === undefined);
  const keys = new Keys(present);
  const union = new Union(keys.names.length);
  const members = tasksOf(present, keys).map((task) => {
    const [first, ...others] = keysOf(task);
    for (const other of others) union.join(first ?? 0, other);
    return { first, operation: task.operation };
  });
  // What touches no key at all tells nothing.
  const touching = members.filter(({ first }) => first !== undefined);
  const byRoot = Map.groupBy(touching, ({ first }) => union.rootOf(first ?? 0));
  const namesByRoot = Map.groupBy(keys.names, (_, at) => union.rootOf(at));
  return [...byRoot].map(([root, found]) => {
    const names = namesByRoot.get(root) ?? [];
    const ofGroup = found.map(({ operation }) => operation).sort((a, b) => a.call - b.call);
    const tasks = tasksOf(ofGroup, new Keys(ofGroup, names), options);
    return { names, tasks: tasks.flatMap(eitherWay) };
  });
}

/**
 * Which way a transaction went that nobody was told of may depend on revisions that nobody knows:
 * then it may have gone either way.
 */
function eitherWay(task: Task): Task[] {
  const isOpen = task.compares.some(({ target }) => {
    return target === "createRevision" || target === "modRevision";
  });
  if (task.succeeded !== null || !isOpen) return [task];
  return [true, false].map((succeeded) => ({ ...task, succeeded }));
}

/** Sets that are joined. */
class Union {
  private readonly parents: number[];

  constructor(size: number) {
    this.parents = Array.from({ length: size }, (_, at) => at);
  }

  join(a: number, b: number): void {
    this.parents[this.rootOf(a)] = this.rootOf(b);
  }

  rootOf(at: number): number {
    let root = at;
    for (let up = this.parents[root]; up !== undefined && up !== root; up = this.parents[root]) {
      // Half of the way is gone once only.
      this.parents[root] = this.parents[up] ?? up;
      root = up;
    }
    return root;
  }
}
