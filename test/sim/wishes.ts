/** What the clients of a simulation ask for: plain requests, and those of the whole API. */
import type { Prng } from "../../src/lib/random.ts";
import type {
  Compare,
  Operation,
  RangeOperation,
  StepOut,
  TxnOperation,
  TxnStep,
} from "../checker/history.ts";

/** A request, as the history tells of it. */
export type Wish =
  | Pick<Operation, "key" | "op" | "in">
  | Pick<TxnOperation, "op" | "in">
  | Pick<RangeOperation, "op" | "in">;

/** Keys that are used together, and what their clients believe of them. */
export interface UsedKeys {
  readonly names: readonly string[];
  /** Of numbers, which is never put; null where the requests are plain. */
  readonly counter: string | null;
  /** What all of them begin with. */
  readonly prefix: string;
  /** What was last told of each. */
  readonly told: Map<string, StepOut>;
  operations: number;
  unknown: number;
}

const TTLS_MS = [300, 1_000, 3_000];

/** Draws one request after another. Values are never used twice. */
export class Wishes {
  private readonly random: Prng;
  private values = 0;
  private leases = 0;

  constructor(random: Prng) {
    this.random = random;
  }

  /** A get, a put or a delete of one key. */
  plain(keys: UsedKeys): Wish {
    const { random } = this;
    const { names } = keys;
    const key = names.length === 1 ? (names[0] ?? "") : random.pick(names);
    const version = keys.told.get(key)?.version ?? 0;
    const dice = random.below(100);
    if (dice < 45) return { op: "get", key, in: {} };
    const condition = random.chance(40) ? { ifVersion: version } : {};
    if (dice < 92) return { op: "put", key, in: { value: this.value(), ...condition } };
    return { op: "delete", key, in: random.chance(30) ? condition : {} };
  }

  /** Anything else. `newest` is the newest revision that anybody was told. */
  other(keys: UsedKeys, newest: number): Wish {
    const { random } = this;
    const { prefix, counter } = keys;
    const dice = random.below(100);
    if (dice < 30) return this.range(keys, newest);
    if (dice < 42 && counter !== null) {
      return { op: "increment", key: counter, in: { by: random.between(1, 9) } };
    }
    if (dice < 55) {
      this.leases += 1;
      const lease = `ttl-${random.pick(TTLS_MS)}-${this.leases}`;
      return { op: "put", key: random.pick(keys.names), in: { value: this.value(), lease } };
    }
    if (dice < 62) {
      const success = [{ op: "deletePrefix", prefix } as const];
      return { op: "txn", in: { compare: [], success, failure: [] } };
    }
    return this.txn(keys);
  }

  private range({ prefix, names, counter }: UsedKeys, newest: number): Wish {
    const { random } = this;
    // Mostly what is there; now and then what was, which may be forgotten already.
    const at = random.chance(25) ? { at: Math.max(1, newest - random.below(30)) } : {};
    const dice = random.below(10);
    if (dice < 3) return { op: "range", in: { keys: [...names, counter ?? prefix], ...at } };
    if (dice < 5) return { op: "range", in: { prefix, limit: 0, ...at } };
    if (dice < 7) return { op: "range", in: { prefix, limit: random.between(1, 2), ...at } };
    return { op: "range", in: { prefix, ...at } };
  }

  /** Now and then one that only reads. */
  private txn(keys: UsedKeys): Wish {
    const { random } = this;
    const { names, counter } = keys;
    const compare = Array.from({ length: random.below(3) }, () => this.compare(keys));
    const gets = names.map((key) => ({ op: "get", key }) as const);
    if (random.chance(15)) return { op: "txn", in: { compare, success: gets, failure: [] } };
    const from = random.below(names.length);
    const changes = names.map((_, at): TxnStep => {
      const key = names[(from + at) % names.length] ?? "";
      return random.chance(20) ? { op: "delete", key } : { op: "put", key, value: this.value() };
    });
    const counted: TxnStep[] =
      counter !== null && random.chance(50)
        ? [{ op: "increment", key: counter, by: random.between(1, 9) }]
        : [];
    const [before, after] = [random.pick(gets), random.pick(gets)];
    const success = [before, ...changes, ...counted, after];
    const other = { op: "put", key: names[from] ?? "", value: this.value() } as const;
    const failure = random.chance(50) ? gets : [other];
    return { op: "txn", in: { compare, success, failure } };
  }

  /** Mostly one that holds, as far as anybody was told. */
  private compare({ names, told }: UsedKeys): Compare {
    const { random } = this;
    const key = random.pick(names);
    const { version = 0, revision = 0, value } = told.get(key) ?? {};
    const relation = random.pick(["=", "=", "=", "!=", "<", ">"] as const);
    const dice = random.below(3);
    if (dice === 0 && typeof value === "string")
      return { key, target: "value", relation, to: value };
    if (dice === 1)
      return { key, target: "modRevision", relation, to: version === 0 ? 0 : revision };
    return { key, target: "version", relation, to: version };
  }

  private value(): string {
    return `v${this.values++}${"x".repeat(this.random.below(100))}`;
  }
}

/** How long a lease that was drawn here lasts. */
export function ttlOf(lease: string): number {
  return Number(lease.split("-")[1]);
}
