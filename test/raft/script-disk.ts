/** A node's disk in a script: what would be found on it after a crash. */
import type { Entry } from "../../src/raft/entry.ts";
import type { Write } from "../../src/raft/message.ts";
import { nothingSaved, type Saved } from "../../src/raft/saved.ts";
import type { HardState, Index, Position, SnapshotMeta, Term } from "../../src/raft/types.ts";

export class ScriptDisk {
  hardState: HardState;
  private doubt: string | null;
  private snapshot: SnapshotMeta | null;
  private base: Position;
  private entries: readonly Entry[];

  constructor(saved: Saved = nothingSaved) {
    this.hardState = saved.hardState;
    this.snapshot = saved.snapshot;
    this.base = saved.base;
    this.entries = saved.entries;
    this.doubt = saved.doubt;
  }

  /** Everything is gone; the node has a new incarnation. */
  lose(incarnation: string): void {
    this.hardState = nothingSaved.hardState;
    this.snapshot = null;
    this.base = nothingSaved.base;
    this.entries = [];
    this.doubt = incarnation;
  }

  /** The node is certain again, and what that rests on is on this disk. */
  trust(): void {
    this.doubt = null;
  }

  get lastIndex(): number {
    return this.base.index + this.entries.length;
  }

  holds(index: Index, term: Term): boolean {
    if (index <= this.base.index) return true;
    return this.entries[index - this.base.index - 1]?.term === term;
  }

  write(write: Write): void {
    if (write.hardState !== null) this.hardState = write.hardState;
    if (write.reset !== null) {
      this.snapshot = write.reset;
      this.base = { index: write.reset.index, term: write.reset.term };
      this.entries = [];
    }
    const [first] = write.entries;
    if (first === undefined) return;
    // The first one may replace what is here from its index on.
    const kept = this.entries.slice(0, first.index - this.base.index - 1);
    this.entries = [...kept, ...write.entries];
  }

  /** A snapshot of the node's own state is complete, and the log before `base` is gone. */
  saveSnapshot(snapshot: SnapshotMeta, base: Position): void {
    this.snapshot = snapshot;
    this.entries = this.entries.slice(base.index - this.base.index);
    this.base = base;
  }

  recover(): Saved {
    const { hardState, snapshot, base, entries, doubt } = this;
    return { hardState, snapshot, base, entries, doubt };
  }
}
