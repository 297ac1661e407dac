/** What the clients of generated histories ask for. */
import type { Prng } from "../../src/lib/random.ts";
import type {
  Compare,
  ExpireOperation,
  Operation,
  RangeOperation,
  TxnOperation,
} from "./history.ts";

export type Wish =
  | Pick<Operation, "key" | "op" | "in">
  | Pick<TxnOperation, "op" | "in">
  | Pick<RangeOperation, "op" | "in">
  | Pick<ExpireOperation, "op" | "in">;

interface WishShape {
  readonly groups: number;
  readonly keys: number;
  readonly joinedPercent: number;
}

/** Of keys that hold numbers, and are not put. */
const COUNTER = "n";

/** `at` is a number of its own for each, so that values are unique. */
export function drawWish(random: Prng, shape: WishShape, at: number): Wish {
  const group = `g${random.below(shape.groups)}/`;
  const key = () => `${group}k${random.below(shape.keys)}`;
  return random.chance(shape.joinedPercent)
    ? joined(random, { group, key, at })
    : single(random, { group, key, at });
}

interface Names {
  readonly group: string;
  readonly key: () => string;
  readonly at: number;
}

function single(random: Prng, { group, key, at }: Names): Wish {
  const op = random.pick(["get", "get", "put", "put", "put", "delete", "increment"] as const);
  const isCounter = op !== "put" && random.chance(20);
  const name = isCounter || op === "increment" ? `${group}${COUNTER}` : key();
  const ifVersion = op !== "get" && random.chance(30) ? { ifVersion: random.below(4) } : {};
  const lease = random.chance(20) ? { lease: `l${at}` } : {};
  switch (op) {
    case "get":
      return { op, key: name, in: {} };
    case "put":
      return { op, key: name, in: { value: `v${at}`, ...ifVersion, ...lease } };
    case "delete":
      return { op, key: name, in: ifVersion };
    case "increment":
      return { op, key: name, in: { by: random.between(1, 3) } };
  }
}

function joined(random: Prng, names: Names): Wish {
  const { group, key } = names;
  const dice = random.below(10);
  if (dice < 2) return { op: "range", in: { prefix: group } };
  if (dice === 2) return { op: "range", in: { prefix: group, limit: random.below(3) } };
  if (dice === 3) return { op: "range", in: { keys: [key(), `${group}${COUNTER}`] } };
  if (dice === 4) {
    const success = [{ op: "deletePrefix", prefix: group } as const];
    return { op: "txn", in: { compare: [], success, failure: [] } };
  }
  return txn(random, names);
}

/** Puts two keys at most, counts and reads; if the compares do not hold, it reads. */
function txn(random: Prng, { group, key, at }: Names): Wish {
  const lease = random.chance(20) ? { lease: `l${at}` } : {};
  const [first, second] = [key(), key()];
  const put = (name: string, mark: string) =>
    ({ op: "put", key: name, value: `v${at}${mark}`, ...lease }) as const;
  const puts = first === second ? [put(first, "")] : [put(first, "a"), put(second, "b")];
  const counter = `${group}${COUNTER}`;
  const counted = random.chance(50)
    ? [{ op: "increment", key: counter, by: random.between(1, 3) } as const]
    : [];
  const get = { op: "get", key: random.pick([first, counter]) } as const;
  const compare = Array.from({ length: random.below(3) }, () => drawCompare(random, key(), at));
  const failure = [get, { op: "delete", key: second } as const];
  return { op: "txn", in: { compare, success: [...puts, ...counted, get], failure } };
}

function drawCompare(random: Prng, key: string, at: number): Compare {
  const relation = random.pick(["=", "!=", "<", ">"] as const);
  const target = random.pick(["version", "version", "value", "modRevision"] as const);
  const to = target === "value" ? `v${random.below(at + 1)}` : random.below(4);
  return { key, target, relation, to };
}
