/** Arbitrary commands of the kinds that are about more than one key: for tests of properties. */
import fc from "fast-check";
import { bytesOf } from "../../src/lib/bytes.ts";
import type { Command, PlainCommand } from "../../src/kv/command.ts";
import type { LeaseChoice, Operation, Txn } from "../../src/kv/operation.ts";
import { malformation } from "../../src/kv/txn.ts";
import { key } from "./fixtures.ts";

/** Few names and ids, so that commands meet. */
export const someName = fc.constantFrom("a", "b", "ab", "c", "\xff");
const id = fc.oneof(
  { weight: 6, arbitrary: fc.nat({ max: 5 }) },
  { weight: 1, arbitrary: fc.maxSafeNat() },
);
const ttlMs = fc.oneof(
  { weight: 6, arbitrary: fc.nat({ max: 30 }) },
  { weight: 1, arbitrary: fc.maxSafeNat() },
);
const someValue = fc.oneof(
  fc.constantFrom("", "0", "7", "-3", "9007199254740991", "text").map(bytesOf),
  fc.uint8Array({ maxLength: 3 }),
);
const signed = fc.oneof(fc.integer({ min: -9, max: 9 }), fc.maxSafeInteger());

export const someLeases: [
  fc.Arbitrary<LeaseChoice>,
  fc.Arbitrary<LeaseChoice>,
  fc.Arbitrary<LeaseChoice>,
] = [
  fc.constant({ kind: "keep" }),
  fc.record({ kind: fc.constant("lease" as const), id }),
  fc.record({ kind: fc.constant("ttl" as const), ttlMs }),
];
const anyLease = fc.oneof(fc.constant<LeaseChoice>({ kind: "none" }), ...someLeases);

const single = fc.record({ key: someName.map(key), end: fc.constant("single" as const) });
const span = fc.record({
  key: fc.oneof(someName, fc.constant("")).map(key),
  end: fc.oneof(fc.constant(null), someName.map(key)),
});
const range = fc.oneof({ weight: 2, arbitrary: single }, { weight: 1, arbitrary: span });

const relation = fc.constantFrom("=" as const, "!=" as const, "<" as const, ">" as const);
const compare = fc.oneof(
  fc
    .tuple(
      range,
      fc.record({
        relation,
        target: fc.constantFrom(
          "version" as const,
          "createRevision" as const,
          "modRevision" as const,
          "lease" as const,
        ),
        number: fc.nat({ max: 6 }),
      }),
    )
    .map(([where, what]) => ({ ...where, ...what })),
  fc
    .tuple(range, fc.record({ relation, target: fc.constant("value" as const), value: someValue }))
    .map(([where, what]) => ({ ...where, ...what })),
);

const operation: fc.Arbitrary<Operation> = fc.oneof(
  fc.record({
    type: fc.constant("put" as const),
    key: someName.map(key),
    value: someValue,
    lease: anyLease,
    returnPrevious: fc.boolean(),
  }),
  fc
    .tuple(range, fc.boolean())
    .map(([where, returnPrevious]) => ({ type: "delete" as const, ...where, returnPrevious })),
  fc
    .tuple(
      range,
      fc.record({ limit: fc.nat({ max: 3 }), keysOnly: fc.boolean(), countOnly: fc.boolean() }),
    )
    .map(([where, what]) => ({ type: "get" as const, ...where, ...what })),
  fc.record({
    type: fc.constant("increment" as const),
    key: someName.map(key),
    by: signed.map((by) => by + 0),
    initial: signed.map((initial) => initial + 0),
  }),
);

function txnOf(inner: fc.Arbitrary<Operation>): fc.Arbitrary<Txn> {
  const list = fc.array(inner, { maxLength: 4 });
  return fc.record({ compares: fc.array(compare, { maxLength: 2 }), success: list, failure: list });
}

const inTxn = (txn: Txn): Operation => ({ type: "txn", ...txn });
const second = txnOf(operation).map(inTxn);
const first = txnOf(
  fc.oneof({ weight: 4, arbitrary: operation }, { weight: 1, arbitrary: second }),
);

/** Well-formed ones, with others in them. */
export const someTxn: fc.Arbitrary<Txn> = txnOf(
  fc.oneof({ weight: 4, arbitrary: operation }, { weight: 1, arbitrary: first.map(inTxn) }),
).filter((txn) => malformation(txn) === null);

const ids = fc.array(id, { maxLength: 4 });

/** Commands of every kind; those about one key and `compact` are given. */
export function commandOf(others: fc.Arbitrary<PlainCommand>): fc.Arbitrary<Command> {
  const client: fc.Arbitrary<PlainCommand> = fc.oneof(
    { weight: 3, arbitrary: others },
    { weight: 4, arbitrary: someTxn.map((txn) => ({ type: "txn" as const, ...txn })) },
    { weight: 2, arbitrary: fc.record({ type: fc.constant("grant" as const), id, ttlMs }) },
    { weight: 1, arbitrary: fc.record({ type: fc.constant("revoke" as const), id }) },
    { weight: 1, arbitrary: fc.constant({ type: "clock" as const }) },
  );
  const once = fc.record({
    type: fc.constant("once" as const),
    key: fc.constantFrom("one", "two", "~".repeat(128)),
    command: client,
  });
  const ofLeases: fc.Arbitrary<Command> = fc.oneof(
    { weight: 1, arbitrary: fc.record({ type: fc.constant("renew" as const), ids }) },
    { weight: 2, arbitrary: fc.record({ type: fc.constant("expire" as const), ids }) },
  );
  return fc.oneof(
    { weight: 11, arbitrary: client },
    { weight: 3, arbitrary: ofLeases },
    { weight: 4, arbitrary: once },
  );
}
