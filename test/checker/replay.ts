/** All tasks in the order of their revisions, carried out on all keys: do the answers agree? */
import { must } from "../../src/lib/assert.ts";
import type { StepOut } from "./history.ts";
import type { Keys } from "./keys.ts";
import { agreed, holds, type KeyState, ABSENT } from "./model.ts";
import { PossibleKey, type UnseenWrite, unseenOn } from "./possible.ts";
import { afterStep } from "./store.ts";
import { keysOf, type Step, type Task } from "./task.ts";

/** A write of unknown outcome that some read has shown to be done is told of like any other. */
export interface ReplayDeps {
  readonly keys: Keys;
  /** Which change has which revision. */
  readonly owners: ReadonlyMap<number, Task>;
  /** Writes of which nobody knows when, or whether, they were done. */
  readonly unseen: readonly Task[];
}

/** A task whose turn it is. */
interface Turn {
  readonly task: Task;
  /** It, or a state that it has read. */
  readonly revision: number;
}

/** What a key looked like, and how many revisions without an owner there were until then. */
interface Looked {
  readonly key: PossibleKey;
  gaps: number;
  /** The change that was made last, if it is known. */
  by: Task | null;
}

/** Tasks are to be taken by revision; at one revision its change first, and then reads. */
export class Replay {
  private readonly deps: ReplayDeps;
  private readonly looked: (Looked | undefined)[] = [];
  private readonly unseenBy = new Map<number, UnseenWrite[]>();
  /** Revisions of which it is not known what was written. */
  private readonly eitherWay = new Set<number>();
  private owned = 0;
  private lastOwned = 0;

  constructor(deps: ReplayDeps) {
    this.deps = deps;
    for (const task of deps.unseen) {
      for (const at of new Set(keysOf(task))) {
        const list = this.unseenBy.get(at);
        if (list === undefined) this.unseenBy.set(at, [unseenOn(task, at)]);
        else list.push(unseenOn(task, at));
      }
    }
  }

  /** Null: the task agrees with all before it. Or what is wrong, in one sentence. */
  take({ task, revision }: Turn): { readonly what: string; readonly by: Task | null } | null {
    if (task.revision !== null && task.revision > this.lastOwned) {
      this.owned += 1;
      this.lastOwned = task.revision;
    }
    const turn = { task, revision };
    if (task.succeeded === null) return this.takeEitherWay(turn);
    const wrong = this.judge(turn);
    if (wrong !== null) return wrong;
    const steps = task.succeeded ? task.success : task.failure;
    for (const step of steps) {
      const problem = this.carryOut(turn, step);
      if (problem !== null) return problem;
    }
    return null;
  }

  /** Both of its lists write what was read: its compares tell which it was, or it was either. */
  private takeEitherWay(turn: Turn): ReturnType<Replay["take"]> {
    const { task, revision } = turn;
    const judged = task.compares.map((compare) => {
      const { key } = this.look(turn, compare.at);
      const isOne = key.isCertain && key.example !== null;
      return isOne ? holds(key.example, compare) : null;
    });
    if (judged.includes(false)) return this.take({ task: { ...task, succeeded: false }, revision });
    if (!judged.includes(null)) return this.take({ task: { ...task, succeeded: true }, revision });
    this.eitherWay.add(revision);
    for (const at of new Set(keysOf(task))) this.look(turn, at).key.let([unseenOn(task, at)], 1);
    return null;
  }

  /** The key as it was when it was last looked at. */
  private last(at: number): Looked {
    const looked = this.looked[at] ?? { key: new PossibleKey(), gaps: 0, by: null };
    this.looked[at] = looked;
    return looked;
  }

  /** The key with all that may have been done unseen until this turn. */
  private look({ task, revision }: Turn, at: number): Looked {
    const looked = this.last(at);
    const gaps = revision - this.owned;
    if (gaps > looked.gaps) {
      const end = task.operation.return ?? Number.POSITIVE_INFINITY;
      const writes = this.unseenBy.get(at) ?? [];
      const inTime = writes.filter((write) => write.task.operation.call <= end);
      if (inTime.length > 0) looked.key.let(inTime, gaps - looked.gaps);
      looked.gaps = gaps;
    }
    return looked;
  }

  /** The same, if it is certain that nothing was done to the key unseen. */
  private unchanged({ revision }: Turn, looked: Looked): Looked {
    looked.gaps = Math.max(looked.gaps, revision - this.owned);
    return looked;
  }

  private judge(turn: Turn): ReturnType<Replay["take"]> {
    const { compares, succeeded } = turn.task;
    let allHold = true;
    for (const compare of compares) {
      const { key, by } = this.look(turn, compare.at);
      const before = key.example;
      const isThis = (state: KeyState) => holds(state, compare);
      if (succeeded === true && !key.narrow((state) => (isThis(state) === false ? null : state))) {
        return this.wrong(compare.at, { before, by, told: `compared as ${show(compare)}` });
      }
      const { example } = key;
      if (example === null || isThis(example) !== true || !key.isCertain) allHold = false;
    }
    const isWrong = succeeded === false && (allHold || !this.narrowSingle(turn));
    if (!isWrong) return null;
    const what = `at revision ${turn.revision} all compares held, and the answer says they did not`;
    return { what, by: null };
  }

  /** A single compare that did not hold tells what its key is not. False: it did hold. */
  private narrowSingle(turn: Turn): boolean {
    const [compare, ...others] = turn.task.compares;
    if (compare === undefined || others.length > 0) return true;
    const { key } = this.look(turn, compare.at);
    return key.narrow((state) => (holds(state, compare) === true ? null : state));
  }

  private carryOut(turn: Turn, step: Step): ReturnType<Replay["take"]> {
    switch (step.kind) {
      case "get":
        return step.told === null ? null : this.observe(turn, step.at, step.told);
      case "put":
      case "increment":
        return this.change(turn, step);
      case "delete":
        return this.remove(turn, step);
      case "range":
        return this.list(turn, step);
      case "expire":
        return null;
    }
  }

  private observe(turn: Turn, at: number, told: StepOut): ReturnType<Replay["take"]> {
    const looked = this.last(at);
    if (looked.key.isSurely(told)) {
      this.unchanged(turn, looked);
      return null;
    }
    const { key, by } = this.look(turn, at);
    const before = key.example;
    // Whoever's revision is known would have left it there.
    const isKnown = (of: number) => this.deps.owners.has(of) && !this.eitherWay.has(of);
    const mayBeUnseen = told.revision === undefined || !isKnown(told.revision);
    const isKept = key.narrow((state) => {
      if (state.version > 0 && state.revision === null && !mayBeUnseen) return null;
      return agreed(state, told);
    });
    if (!isKept) return this.wrong(at, { before, by, told: `read as ${describe(told)}` });
    if (!this.deps.keys.isLeased(at)) key.believe(told, null);
    return null;
  }

  private change(
    turn: Turn,
    step: Extract<Step, { readonly kind: "put" | "increment" }>,
  ): ReturnType<Replay["take"]> {
    const { told } = step;
    const { revision } = turn.task;
    const learn = (state: KeyState) => afterStep(state, step, { told, revision });
    const last = this.last(step.at);
    // What is told of a put is all that it is afterwards, so that it need not be asked what was.
    const isAsExpected = told?.version !== undefined && last.key.isCertain && last.key.may(learn);
    const looked = isAsExpected ? this.unchanged(turn, last) : this.look(turn, step.at);
    const { key, by } = looked;
    const before = key.example;
    if (!key.narrow(learn)) {
      const told = `${step.kind} with the answer ${describe(step.told ?? {})}`;
      return this.wrong(step.at, { before, by, told });
    }
    if (step.kind === "put") key.believe({ ...told, value: step.value }, step.lease);
    looked.by = turn.task;
    return null;
  }

  private remove(
    turn: Turn,
    step: Extract<Step, { readonly kind: "delete" }>,
  ): ReturnType<Replay["take"]> {
    const counted = this.count(turn, step.keys);
    for (const at of step.keys) {
      const looked = this.look(turn, at);
      looked.key.become(ABSENT);
      looked.by = turn.task;
    }
    return misCounted(turn, counted, step.told?.deleted ?? null, "deleted");
  }

  private list(
    turn: Turn,
    step: Extract<Step, { readonly kind: "range" }>,
  ): ReturnType<Replay["take"]> {
    const isWhole = step.items.size < step.limit;
    const last = [...step.items.keys()].reduce((a, b) => Math.max(a, b), -1);
    for (const at of step.keys) {
      const told = step.items.get(at);
      if (told === undefined && !isWhole && at > last) continue;
      const problem = this.observe(turn, at, told ?? { version: 0 });
      if (problem !== null) return problem;
    }
    const isForeign = [...step.items.keys()].some((at) => !step.keys.includes(at));
    if (isForeign || step.items.size > step.limit) {
      return { what: "a list tells of more than was asked for", by: null };
    }
    return misCounted(turn, this.count(turn, step.keys), step.count, "counted");
  }

  /** How many of these keys are certainly there, and how many perhaps. */
  private count(turn: Turn, keys: readonly number[]) {
    const present = keys.map((at) => this.look(turn, at).key.presence);
    const certain = present.filter((each) => each.certain).length;
    return { certain, possible: present.filter((each) => each.possible).length };
  }

  private wrong(
    at: number,
    { before, by, told }: { before: KeyState | null; by: Task | null; told: string },
  ) {
    const name = must(this.deps.keys.names[at], "a key of the history");
    const was = before === null ? "perhaps anything" : describe(before);
    return { what: `key ${name} was ${was}, but ${told}`, by };
  }
}

function misCounted(
  { revision }: Turn,
  { certain, possible }: { readonly certain: number; readonly possible: number },
  told: number | null,
  done: string,
): ReturnType<Replay["take"]> {
  if (told === null || (told >= certain && told <= possible)) return null;
  const range = certain === possible ? String(certain) : `${certain} to ${possible}`;
  return { what: `at revision ${revision} there were ${range} keys, ${told} ${done}`, by: null };
}

function show({ target, relation, to }: Task["compares"][number]): string {
  return `${target} ${relation} ${to}`;
}

function describe({ version, revision, value }: StepOut | KeyState): string {
  if (version === 0) return "not there";
  const of = value === undefined ? "" : ` with ${JSON.stringify(value)}`;
  return `at version ${version} of revision ${revision}${of}`;
}
