/** Changes that never happened, to test checks with. */
import type { Change, Told } from "../watch/validate.ts";

/** A key as it became at a revision. */
function told(key: string, value: string, revision: number): Told {
  return { key, value, version: 1, mod_revision: revision, create_revision: revision };
}

/** It was put, and was not there before. */
export function put(key: string, value: string, revision: number): Change {
  return { kind: "put", key, revision, now: told(key, value, revision), before: null };
}

/** It ended, and nobody says what it was. */
export function end(kind: "delete" | "expire", key: string, revision: number): Change {
  return { kind, key, revision, now: null, before: null };
}
