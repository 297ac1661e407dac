/** What clients were told of their writes, and whether what is read later can be true. */
import type { Ending } from "./exchange.ts";

type Read = Extract<Ending, { outcome: "ok" }>;

interface Known {
  /** The last write of the key that was acknowledged, in the order of revisions. */
  acknowledged: { readonly revision: number; readonly value: string } | null;
  readonly unknown: Set<string>;
  readonly notApplied: Set<string>;
}

/** Enough of a value to find it by: they begin with what makes them unique. */
const SHOWN = 24;

/** Keeps account of puts with unique values. Deletes and conditions are not for it. */
export class PowerLedger {
  readonly #keys = new Map<string, Known>();
  #revision = 0;

  /** All keys that a write was tried of. */
  get keys(): readonly string[] {
    return [...this.#keys.keys()];
  }

  /** What became of a write. */
  note(key: string, value: string, ending: Ending): void {
    const known = this.#known(key);
    switch (ending.outcome) {
      case "ok": {
        const revision = ending.revision ?? 0;
        this.#revision = Math.max(this.#revision, revision);
        if (revision > (known.acknowledged?.revision ?? 0))
          known.acknowledged = { revision, value };
        return;
      }
      case "unknown":
        known.unknown.add(value);
        return;
      // Without a condition, both say that nothing was done.
      case "failed":
      case "refused":
        known.notApplied.add(value);
    }
  }

  /**
   * What a linearizable read that began after all writes had ended contradicts, in words. A key
   * holds its last acknowledged write, or a later one of unknown outcome; and the store is no
   * older than the last acknowledgement of any key.
   */
  contradictions(key: string, { value, revision, storeRevision }: Read): readonly string[] {
    const { acknowledged, unknown, notApplied } = this.#known(key);
    const at = revision ?? 0;
    const found = `${key} is ${show(value)} of revision ${at}`;
    const problems: string[] = [];
    if (storeRevision < this.#revision) {
      problems.push(
        `the store is at revision ${storeRevision}, but ${this.#revision} was acknowledged`,
      );
    }
    if (value !== null && notApplied.has(value)) {
      problems.push(`${found}, which was said to be not applied`);
    }
    if (acknowledged !== null && at <= acknowledged.revision) {
      if (at === acknowledged.revision && value === acknowledged.value) return problems;
      const { value: lost, revision: promised } = acknowledged;
      problems.push(`${found}, but ${show(lost)} was acknowledged at ${promised}`);
    } else if (value !== null && !unknown.has(value)) {
      problems.push(`${found}, which nobody can have written there`);
    } else if (value === null && acknowledged !== null) {
      problems.push(`${found}, though nobody deletes`);
    }
    return problems;
  }

  #known(key: string): Known {
    const known = this.#keys.get(key) ?? {
      acknowledged: null,
      unknown: new Set<string>(),
      notApplied: new Set<string>(),
    };
    this.#keys.set(key, known);
    return known;
  }
}

function show(value: string | null): string {
  return value === null ? "absent" : value.slice(0, SHOWN);
}
