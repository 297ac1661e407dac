/** A planted bug: a small change of the source that some test must notice. */
import { assert } from "../../src/lib/assert.ts";

/** One replacement. The text must stand in the file exactly once. */
export interface Edit {
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

/** A bug as data. It is in force only in the scratch copy that the runner makes. */
export interface Mutation {
  /** The row that it breaks and a name, as in `E1-vote-before-disk`. */
  readonly id: string;
  /** What it breaks, in one sentence. */
  readonly breaks: string;
  /** Most are one. A rule that is guarded twice takes two, or nothing can be seen. */
  readonly edits: readonly Edit[];
  /** Tests that should notice, beside those of Raft, of the storage and the simulator. */
  readonly tests?: readonly string[];
}

/** The row of the list of faults: the part of the id before the first hyphen. */
export function rowOf({ id }: Mutation): string {
  return id.slice(0, id.indexOf("-"));
}

/** The files that the mutation touches, each once. */
export function filesOf({ edits }: Mutation): readonly string[] {
  return [...new Set(edits.map(({ file }) => file))];
}

/** The text of `file` with the bug in it. Throws where the source has moved on. */
export function mutate({ id, edits }: Mutation, file: string, source: string): string {
  let text = source;
  for (const edit of edits.filter((each) => each.file === file)) {
    const parts = text.split(edit.from);
    assert(
      parts.length === 2,
      () => `${id} no longer fits: ${file} holds its text ${parts.length - 1} times`,
    );
    text = parts.join(edit.to);
  }
  return text;
}
