/** The truth about one key: a value with a version, put, counted, deleted and compared. */
import type { StepOut } from "./history.ts";

/** What a key is. Version 0 means that it is not there. */
export interface KeyState {
  readonly value: string | null;
  readonly version: number;
  /** Of its last change, and of the one that made it; null: not known. */
  readonly revision: number | null;
  readonly created: number | null;
  /** The lease that it goes with. */
  readonly lease: string | null;
}

export const ABSENT: KeyState = {
  value: null,
  version: 0,
  revision: null,
  created: null,
  lease: null,
};

/** What is compared, whichever key it is of. */
export interface Comparison {
  readonly target: "version" | "createRevision" | "modRevision" | "value";
  readonly relation: "=" | "!=" | "<" | ">";
  readonly to: number | string;
}

/** A change of a key, which the answer tells of, under a revision that may be unknown. */
export interface Change {
  readonly told: StepOut | null;
  readonly revision: number | null;
}

/** The state as the answer says it is, and with the revision that it tells; or null. */
export function agreed(state: KeyState, told: StepOut): KeyState | null {
  if (told.version !== undefined && told.version !== state.version) return null;
  if (told.value !== undefined && told.value !== state.value) return null;
  if (state.version === 0 || told.revision === undefined) return state;
  if (state.revision === null) return { ...state, revision: told.revision };
  return state.revision === told.revision ? state : null;
}

/** Null: a put cannot make of this key what was told. */
export function afterPut(
  state: KeyState,
  { value, lease }: Pick<KeyState, "value" | "lease">,
  { told, revision }: Change,
): KeyState | null {
  const version = state.version + 1;
  if (told?.version !== undefined && told.version !== version) return null;
  if (revision !== null && state.revision !== null && revision < state.revision) return null;
  const created = version === 1 ? revision : state.created;
  return { value, version, revision, created, lease };
}

/** Null: the key does not hold a number, or not the one that leads to what was told. */
export function afterIncrement(state: KeyState, by: number, change: Change): KeyState | null {
  const text = state.version === 0 ? "0" : (state.value ?? "");
  if (!/^(0|-?[1-9]\d*)$/.test(text)) return null;
  const value = String(Number(text) + by);
  const { told } = change;
  if (told?.value !== undefined && told.value !== value) return null;
  return afterPut(state, { value, lease: state.lease }, change);
}

/** Null: that depends on a revision that is not known. */
export function holds(state: KeyState, { target, relation, to }: Comparison): boolean | null {
  if (target === "value") return state.version > 0 && relates(state.value ?? "", relation, to);
  if (target === "version") return relates(state.version, relation, to);
  const revision = target === "modRevision" ? state.revision : state.created;
  if (state.version === 0) return relates(0, relation, to);
  return revision === null ? null : relates(revision, relation, to);
}

function relates(a: number | string, relation: Comparison["relation"], b: number | string) {
  switch (relation) {
    case "=":
      return a === b;
    case "!=":
      return a !== b;
    case "<":
      return a < b;
    case ">":
      return a > b;
  }
}

/** Equal where two states can be told apart by nothing that follows. */
export function identity({ value, version, revision, created, lease }: KeyState): string {
  return `${version} ${revision} ${created} ${lease} ${value?.length} ${value}`;
}
