/** A store that does one thing after another. It shares no code with the checker's own model. */
import type { Compare, Item, Operation, Out, StepOut, TxnStep } from "./history.ts";
import type { Wish } from "./wishes.ts";

interface Kept {
  readonly value: string;
  readonly version: number;
  readonly created: number;
  readonly revision: number;
  readonly lease: string | undefined;
}

/** What an operation came to, as its client is told. */
export type Answer =
  | { readonly outcome: "ok"; readonly out: unknown }
  | { readonly outcome: "refused"; readonly out: Out };

export class TrueStore {
  private revision = 1;
  private readonly keys = new Map<string, Kept>();

  carryOut(wish: Wish): Answer {
    switch (wish.op) {
      case "txn": {
        const { compare, success, failure } = wish.in;
        const succeeded = compare.every((each) => this.holds(each));
        const results = this.change(succeeded ? success : failure);
        return { outcome: "ok", out: { succeeded, revision: this.revision, results } };
      }
      case "range":
        return { outcome: "ok", out: this.list(wish.in) };
      case "expire": {
        const mine = [...this.keys].filter(([, { lease }]) => lease === wish.in.lease);
        this.change(mine.map(([key]) => ({ op: "delete", key })));
        return { outcome: "ok", out: {} };
      }
      case "get":
      case "put":
      case "delete":
      case "increment":
        return this.changeKey(wish);
    }
  }

  private changeKey({ key, op, in: input }: Pick<Operation, "key" | "op" | "in">): Answer {
    const kept = this.keys.get(key);
    if (input.ifVersion !== undefined && input.ifVersion !== (kept?.version ?? 0)) {
      const { version = 0, revision } = kept ?? {};
      return { outcome: "refused", out: { version, revision, storeRevision: this.revision } };
    }
    const { value = "", lease, by = 0 } = input;
    const step: TxnStep =
      op === "put" ? { op, key, value, lease } : op === "increment" ? { op, key, by } : { op, key };
    const before = this.revision;
    const [told = {}] = this.change([step]);
    const { version = 0 } = told;
    const changed = this.revision > before ? { revision: this.revision } : {};
    return { outcome: "ok", out: { ...told, version, ...changed, storeRevision: this.revision } };
  }

  /** All of them under one revision, if they change anything. */
  private change(steps: readonly TxnStep[]): StepOut[] {
    const revision = this.revision + 1;
    const results = steps.map((step) => this.carryOutStep(step, revision));
    const isChange = ({ op }: TxnStep, i: number) =>
      op === "put" || op === "increment" || (results[i]?.deleted ?? 0) > 0;
    if (steps.some(isChange)) this.revision = revision;
    return results;
  }

  private carryOutStep(step: TxnStep, revision: number): StepOut {
    switch (step.op) {
      case "get":
        return this.read(step.key);
      case "put":
        return this.put(step.key, step.value, { lease: step.lease, revision });
      case "increment": {
        const kept = this.keys.get(step.key);
        const value = String(Number(kept?.value ?? 0) + step.by);
        return { ...this.put(step.key, value, { lease: kept?.lease, revision }), value };
      }
      case "delete":
        return { deleted: this.keys.delete(step.key) ? 1 : 0 };
      case "deletePrefix": {
        const gone = [...this.keys.keys()].filter((key) => key.startsWith(step.prefix));
        for (const key of gone) this.keys.delete(key);
        return { deleted: gone.length };
      }
    }
  }

  private read(key: string): StepOut {
    const kept = this.keys.get(key);
    if (kept === undefined) return { version: 0, value: null };
    return { version: kept.version, revision: kept.revision, value: kept.value };
  }

  private put(key: string, value: string, more: Pick<Kept, "lease" | "revision">): StepOut {
    const { revision } = more;
    const { version = 0, created = revision } = this.keys.get(key) ?? {};
    this.keys.set(key, { value, version: version + 1, created, ...more });
    return { version: version + 1, revision };
  }

  private list({
    prefix,
    keys,
    limit = Number.POSITIVE_INFINITY,
  }: Extract<Wish, { readonly op: "range" }>["in"]) {
    const isWanted = (key: string) =>
      prefix === undefined ? (keys ?? []).includes(key) : key.startsWith(prefix);
    const found = [...this.keys].filter(([key]) => isWanted(key));
    found.sort(([a], [b]) => (a < b ? -1 : 1));
    const items = found.slice(0, limit).map(([key, { version, revision, value }]): Item => {
      return { key, version, revision, value };
    });
    return { items, count: found.length, storeRevision: this.revision };
  }

  private holds({ key, target, relation, to }: Compare): boolean {
    const kept = this.keys.get(key);
    if (target === "value" && kept === undefined) return false;
    const { version = 0, revision = 0, created = 0, value = "" } = kept ?? {};
    const is = { version, modRevision: revision, createRevision: created, value }[target];
    return { "=": is === to, "!=": is !== to, "<": is < to, ">": is > to }[relation];
  }
}
