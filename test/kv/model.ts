/** The store as simple as it can be: a list of changes, read through from the start every time. */
import { byteString } from "../../src/lib/bytes.ts";
import type { Compact, Condition, Delete, Put } from "../../src/kv/command.ts";
import type { KvRefusal, KvResult } from "../../src/kv/store.ts";
import { VERSION_BYTES } from "../../src/kv/version.ts";

interface ModelChange {
  readonly revision: number;
  readonly key: string;
  /** Null: deleted. */
  readonly value: string | null;
}

interface ModelKey {
  readonly key: string;
  readonly value: string;
  readonly version: number;
  readonly createRevision: number;
  readonly modRevision: number;
}

export class Model {
  revision = 1;
  compactRevision = 0;
  private readonly changes: ModelChange[] = [];

  copy(): Model {
    const copy = new Model();
    copy.revision = this.revision;
    copy.compactRevision = this.compactRevision;
    copy.changes.push(...this.changes);
    return copy;
  }

  /** Adds a transaction. */
  change(...changes: readonly Omit<ModelChange, "revision">[]): void {
    this.revision++;
    for (const change of changes) this.changes.push({ revision: this.revision, ...change });
  }

  /** Every key at a revision, in bytewise order: plain comparison of one character a byte. */
  allAt(revision: number): ModelKey[] {
    const changes = this.changes.filter((change) => change.revision <= revision);
    return [...replay(changes).values()].sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  changesFrom(revision: number): ModelChange[] {
    return this.changes.filter((change) => change.revision >= revision);
  }

  /** What was replaced or deleted after `revision`, and the tombstones. */
  historyBytes(revision: number): number {
    let bytes = 0;
    for (const [at, change] of this.changes.entries()) {
      if (change.revision <= revision) continue;
      const before = replay(this.changes.slice(0, at)).get(change.key);
      if (before !== undefined) bytes += sizeOf(before);
      if (change.value === null) bytes += sizeOf(change);
    }
    return bytes;
  }

  liveBytes(): number {
    return this.allAt(this.revision).reduce((sum, live) => sum + sizeOf(live), 0);
  }

  apply(command: Compact | Delete | Put): KvResult {
    if (command.type === "compact") return this.compact(command.revision);
    const key: string = command.key;
    const before = this.find(key);
    for (const condition of command.conditions) {
      const code = refusal(condition, before);
      if (code !== null) return this.refused(code, before);
    }
    const value = command.type === "put" ? byteString(command.value) : null;
    if (value !== null || before !== null) this.change({ key, value });
    return {
      ok: true,
      revision: this.revision,
      current: metadataOf(this.find(key)),
      previous: command.returnPrevious ? (before as unknown as null) : null,
      deleted: value === null && before !== null ? 1 : 0,
    };
  }

  private compact(revision: number): KvResult {
    if (revision <= this.compactRevision) return this.refused("REVISION_COMPACTED", null);
    if (revision > this.revision) return this.refused("REVISION_IN_FUTURE", null);
    this.compactRevision = revision;
    return { ok: true, revision: this.revision, current: null, previous: null, deleted: 0 };
  }

  private refused(code: KvRefusal, before: ModelKey | null): KvResult {
    return { ok: false, code, revision: this.revision, current: metadataOf(before) };
  }

  private find(key: string): ModelKey | null {
    return this.allAt(this.revision).find((live) => live.key === key) ?? null;
  }
}

function replay(changes: readonly ModelChange[]): Map<string, ModelKey> {
  const keys = new Map<string, ModelKey>();
  for (const { revision, key, value } of changes) {
    const before = keys.get(key);
    if (value === null) keys.delete(key);
    else {
      const version = (before?.version ?? 0) + 1;
      const createRevision = before?.createRevision ?? revision;
      keys.set(key, { key, value, version, createRevision, modRevision: revision });
    }
  }
  return keys;
}

function refusal(condition: Condition, before: ModelKey | null): KvRefusal | null {
  const { version, modRevision } = before ?? { version: 0, modRevision: 0 };
  switch (condition.type) {
    case "version":
      if (condition.version === version) return null;
      return before === null ? "KEY_NOT_FOUND" : "VERSION_MISMATCH";
    case "modRevision":
      return condition.modRevision === modRevision ? null : "PRECONDITION_FAILED";
    case "otherModRevision":
      return condition.modRevision !== modRevision ? null : "PRECONDITION_FAILED";
    case "exists":
      return before !== null ? null : "PRECONDITION_FAILED";
    case "absent":
      return before === null ? null : "PRECONDITION_FAILED";
  }
}

function metadataOf(found: ModelKey | null) {
  if (found === null) return null;
  const { version, createRevision, modRevision } = found;
  return { version, createRevision, modRevision };
}

function sizeOf({ key, value }: { readonly key: string; readonly value: string | null }): number {
  return VERSION_BYTES + key.length + (value?.length ?? 0);
}
