/**
 * What a key may be, as far as answers have told: usually one thing. Where revisions are missing
 * between two answers, writes of unknown outcome may have been done, each once.
 */
import type { StepOut } from "./history.ts";
import { ABSENT, agreed, holds, identity, type KeyState } from "./model.ts";
import { afterStep } from "./store.ts";
import type { ComparisonAt, Step, Task } from "./task.ts";

/** A state, and the unseen writes that must have been done for it. */
interface Possibility {
  readonly state: KeyState;
  readonly used: readonly Task[];
}

/** More are too many to tell one from another: then the key may be anything. */
const POSSIBILITIES_MAX = 32;
const UNTOLD = { told: null, revision: null };

/** One key of the store. */
export class PossibleKey {
  /** Null: it may be anything. */
  private all: readonly Possibility[] | null = [{ state: ABSENT, used: [] }];

  /** Whether it may be, and may not be, there. */
  get presence(): { readonly possible: boolean; readonly certain: boolean } {
    if (this.all === null) return { possible: true, certain: false };
    const present = this.all.filter(({ state }) => state.version > 0).length;
    return { possible: present > 0, certain: present === this.all.length };
  }

  /** Whether there is only one thing that it can be. */
  get isCertain(): boolean {
    return this.all?.length === 1;
  }

  /** What it is, if that is certain, or one of the things that it may be; null: anything. */
  get example(): KeyState | null {
    return this.all?.[0]?.state ?? null;
  }

  /** At most `count` of these writes may have been done in the meantime. */
  let(writes: readonly UnseenWrite[], count: number): void {
    let newest = this.all ?? [];
    for (let n = 0; n < count && newest.length > 0; n++) {
      const before = this.all ?? [];
      const more = this.afterOneOf(writes, newest);
      const all = distinct([...before, ...more]);
      if (all.length > POSSIBILITIES_MAX) {
        this.all = null;
        return;
      }
      this.all = all;
      newest = all.slice(before.length);
    }
  }

  /** What it may be after one more write; no more than it takes to be too many. */
  private afterOneOf(
    writes: readonly UnseenWrite[],
    before: readonly Possibility[],
  ): Possibility[] {
    const after: Possibility[] = [];
    for (const { state, used } of before) {
      for (const write of writes) {
        if (used.includes(write.task)) continue;
        for (const next of effectsOf(write, state)) {
          after.push({ state: next, used: [...used, write.task] });
        }
        if (after.length > POSSIBILITIES_MAX) return after;
      }
    }
    return after;
  }

  /** Whether it is, without doubt, what was told, unchanged since its revision. */
  isSurely(told: StepOut): boolean {
    if (this.all === null) return false;
    return this.all.every(({ state }) => {
      const { version, revision } = state;
      const isKnown = version === 0 || (revision !== null && revision === told.revision);
      return isKnown && agreed(state, told) === state;
    });
  }

  /** Whether there is something that it may be for which `learn` does not return null. */
  may(learn: (state: KeyState) => KeyState | null): boolean {
    return this.all === null || this.all.some(({ state }) => learn(state) !== null);
  }

  /**
   * Keeps what it may still be after `learn`, which returns null for what it is not. False: there
   * is nothing left, so that nothing is changed.
   */
  narrow(learn: (state: KeyState) => KeyState | null): boolean {
    if (this.all === null) return true;
    const left = this.all.flatMap(({ state, used }) => {
      const after = learn(state);
      return after === null ? [] : [{ state: after, used }];
    });
    if (left.length > 0) this.all = distinct(left);
    return left.length > 0;
  }

  /** What is told of a key that may be anything is what it is, if it goes with no lease. */
  believe({ value, version, revision }: StepOut, lease: string | null): void {
    if (this.all !== null || version === undefined || value === undefined) return;
    const state = { value, version, revision: revision ?? null, created: null, lease };
    this.become(version === 0 ? ABSENT : state);
  }

  /** It is this now, whatever it was. */
  become(state: KeyState): void {
    this.all = [{ state, used: [] }];
  }
}

/** The first of each kind. */
function distinct(all: readonly Possibility[]): Possibility[] {
  if (all.length < 2) return [...all];
  const seen = new Set<string>();
  return all.filter(({ state, used }) => {
    const calls = used.map(({ operation }) => `${operation.client}@${operation.call}`);
    const name = `${calls.sort().join()} ${identity(state)}`;
    return !seen.has(name) && seen.add(name);
  });
}

/** What a write of which nobody was told may do to one key. */
export interface UnseenWrite {
  readonly task: Task;
  /** Those of this key; the others may go either way. */
  readonly compares: readonly ComparisonAt[];
  readonly isDecided: boolean;
  readonly success: readonly Step[];
  readonly failure: readonly Step[];
}

export function unseenOn(task: Task, at: number): UnseenWrite {
  const compares = task.compares.filter((compare) => compare.at === at);
  const isOn = (step: Step) =>
    step.kind !== "get" && ("keys" in step ? step.keys.includes(at) : step.at === at);
  return {
    task,
    compares,
    isDecided: compares.length === task.compares.length,
    success: task.succeeded === false ? [] : task.success.filter(isOn),
    failure: task.succeeded === true ? [] : task.failure.filter(isOn),
  };
}

/** What it may make of the key, as far as it changes it. */
function effectsOf(write: UnseenWrite, before: KeyState): KeyState[] {
  let mayHold = true;
  let mayFail = !write.isDecided;
  for (const compare of write.compares) {
    const one = holds(before, compare);
    if (one === false) mayHold = false;
    if (one !== true) mayFail = true;
  }
  const effects: KeyState[] = [];
  const add = (steps: readonly Step[]) => {
    const after = steps.reduce(afterUnseen, before);
    if (after !== null && after !== before) effects.push(after);
  };
  if (mayHold) add(write.success);
  if (mayFail) add(write.failure);
  return effects;
}

function afterUnseen(state: KeyState | null, step: Step): KeyState | null {
  if (state === null) return null;
  switch (step.kind) {
    case "delete":
      return state.version > 0 ? ABSENT : state;
    case "expire":
      return state.lease === step.lease ? ABSENT : state;
    case "put":
    case "increment":
      return afterStep(state, step, UNTOLD);
    case "get":
    case "range":
      return state;
  }
}
