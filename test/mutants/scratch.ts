/** A copy of the sources in which bugs can be planted. */
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { filesOf, type Mutation, mutate } from "./mutation.ts";

/** What tests need: some look at the documents too. The packages are linked. */
const COPIED = ["src", "test", "dev", "docs", "package.json", "tsconfig.json", "vitest.config.ts"];

export class Scratch {
  readonly path: string;

  /** Copies the project at `root` into a temporary directory. */
  constructor(root: string) {
    this.path = mkdtempSync(join(tmpdir(), "quorate-mutants-"));
    for (const name of COPIED) {
      cpSync(join(root, name), join(this.path, name), { recursive: true });
    }
    symlinkSync(join(root, "node_modules"), join(this.path, "node_modules"));
  }

  /** Plants the bug, runs `work`, and takes the bug out again. */
  async with<T>(mutation: Mutation, work: () => Promise<T>): Promise<T> {
    const sound = filesOf(mutation).map((file) => {
      // The copy's own text: the project's may have changed since it was made.
      const path = join(this.path, file);
      return { file, path, text: readFileSync(path, "utf8") };
    });
    try {
      for (const { file, path, text } of sound) writeFileSync(path, mutate(mutation, file, text));
      return await work();
    } finally {
      for (const { path, text } of sound) writeFileSync(path, text);
    }
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}
