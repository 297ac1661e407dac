/** The truth about one key: a value with a version, put and deleted, also on condition. */
import type { Operation } from "./history.ts";

/** What a key is. Version 0 means that it is not there. */
export interface KeyState {
  readonly value: string | null;
  readonly version: number;
  /** Of its last change; null: not known. */
  readonly revision: number | null;
}

export const ABSENT: KeyState = { value: null, version: 0, revision: null };

/**
 * The key after the operation, if it may take effect on a key like this one with the answer that
 * was given; null if it may not. Revisions are compared where both sides know one.
 */
export function step(state: KeyState, operation: Operation): KeyState | null {
  const { outcome } = operation;
  if (outcome === "failed") return null;
  if (outcome === "refused") return holds(state, operation) ? null : reads(state, operation);
  if (operation.op === "get") return reads(state, operation);
  if (!holds(state, operation)) return outcome === "unknown" ? state : null;
  return operation.op === "put" ? afterPut(state, operation) : afterDelete(state, operation);
}

/** Whether the states can be told apart by nothing that follows. */
export function identity({ value, version, revision }: KeyState): string {
  return `${version} ${revision} ${value ?? ""}`;
}

function holds({ version }: KeyState, { in: { ifVersion } }: Operation): boolean {
  return ifVersion === undefined || ifVersion === version;
}

/** The state as the answer says it is, and with the revision that it tells; or null. */
function reads(state: KeyState, { out }: Operation): KeyState | null {
  if (out === undefined || out.version !== state.version) return null;
  if (out.value !== undefined && out.value !== state.value) return null;
  if (state.version === 0 || out.revision === undefined) return state;
  if (state.revision !== null && state.revision !== out.revision) return null;
  return { ...state, revision: out.revision };
}

function afterPut(state: KeyState, { in: { value = "" }, out }: Operation): KeyState | null {
  const version = state.version + 1;
  if (out !== undefined && out.version !== version) return null;
  const revision = out?.revision ?? null;
  if (revision !== null && state.revision !== null && revision <= state.revision) return null;
  return { value, version, revision };
}

function afterDelete(state: KeyState, { out }: Operation): KeyState | null {
  const deleted = state.version > 0 ? 1 : 0;
  if (out?.deleted !== undefined && out.deleted !== deleted) return null;
  return ABSENT;
}
