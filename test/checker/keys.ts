/** The keys of a history, numbered in bytewise order, and which of them go together. */
import { must } from "../../src/lib/assert.ts";
import type { AnyOperation, TxnStep } from "./history.ts";

export class Keys {
  /** In bytewise order. */
  readonly names: readonly string[];
  private readonly numbers: ReadonlyMap<string, number>;
  private readonly isLeasedBy: readonly boolean[];
  private readonly prefixes = new Map<string, readonly number[]>();
  /** By the name of a lease: the keys that were ever to go with it. */
  private readonly leased: ReadonlyMap<string, ReadonlySet<string>>;

  /** All that the operations name, or only `names` of them. */
  constructor(operations: readonly AnyOperation[], names?: readonly string[]) {
    this.names = inOrder(names ?? [...new Set(operations.flatMap(namesIn))]);
    this.numbers = new Map(this.names.map((name, at) => [name, at]));
    this.leased = leasedBy(operations);
    const leased = new Set([...this.leased.values()].flatMap((of) => [...of]));
    this.isLeasedBy = this.names.map((name) => leased.has(name));
  }

  numberOf(name: string): number {
    return must(this.numbers.get(name), "a key that the history names");
  }

  /** In order, each once. */
  numbersOf(names: readonly string[]): readonly number[] {
    return [...new Set(names)].map((name) => this.numberOf(name)).sort((a, b) => a - b);
  }

  /** In order. */
  under(prefix: string): readonly number[] {
    const known = this.prefixes.get(prefix);
    if (known !== undefined) return known;
    const found = this.names.flatMap((name, at) => (name.startsWith(prefix) ? [at] : []));
    this.prefixes.set(prefix, found);
    return found;
  }

  /** Whether the key was ever to go with a lease. */
  isLeased(at: number): boolean {
    return this.isLeasedBy[at] ?? false;
  }

  /** The keys of a lease, in order. */
  of(lease: string): readonly number[] {
    return this.numbersOf([...(this.leased.get(lease) ?? [])]);
  }
}

function namesIn(operation: AnyOperation): string[] {
  switch (operation.op) {
    case "txn": {
      const { compare, success, failure } = operation.in;
      const named = [...success, ...failure].flatMap((step) => ("key" in step ? [step.key] : []));
      return [...compare.map(({ key }) => key), ...named];
    }
    case "range":
      return [...(operation.in.keys ?? []), ...(operation.out?.items ?? []).map(({ key }) => key)];
    case "expire":
      return [];
    case "get":
    case "put":
    case "delete":
    case "increment":
      return [operation.key];
  }
}

/** Two that share bytes need not share code units. */
function inOrder(names: readonly string[]): readonly string[] {
  const bytes = names.map((name) => ({ name, bytes: Buffer.from(name, "utf8") }));
  return bytes.sort((a, b) => a.bytes.compare(b.bytes)).map(({ name }) => name);
}

function leasedBy(operations: readonly AnyOperation[]): Map<string, Set<string>> {
  const leased = new Map<string, Set<string>>();
  const note = (key: string, lease: string | undefined) => {
    if (lease === undefined) return;
    const keys = leased.get(lease) ?? new Set();
    leased.set(lease, keys.add(key));
  };
  const noteStep = (step: TxnStep) => {
    if (step.op === "put") note(step.key, step.lease);
  };
  for (const operation of operations) {
    if (operation.op === "put") note(operation.key, operation.in.lease);
    if (operation.op !== "txn") continue;
    for (const step of operation.in.success) noteStep(step);
    for (const step of operation.in.failure) noteStep(step);
  }
  return leased;
}
