/** Histories whose truth is known: clients of a store that is linearizable by construction. */
import type { Prng } from "../../src/lib/random.ts";
import type { Operation } from "./history.ts";
import { ABSENT, type KeyState } from "./model.ts";

export interface Shape {
  readonly operations: number;
  readonly clients: number;
  readonly keys: number;
  /** Of all writes, in percent. */
  readonly unknownPercent: number;
}

type Mutable = { -readonly [K in keyof Operation]: Operation[K] };

/** Each operation takes effect at one moment between its call and its return. */
export function generate(random: Prng, shape: Shape): Operation[] {
  const drafts = draw(random, shape);
  const byEffect = [...drafts].sort((a, b) => a.effect - b.effect);
  const store = { revision: 1, keys: new Map<string, KeyState>() };
  for (const draft of byEffect) {
    if (draft.isLost) continue;
    answer(draft.operation, store);
    if (draft.isUnknown) forget(draft.operation);
  }
  return drafts.map(({ operation }) => operation);
}

interface Draft {
  readonly operation: Mutable;
  readonly effect: number;
  readonly isUnknown: boolean;
  /** It was never done. */
  readonly isLost: boolean;
}

function draw(random: Prng, shape: Shape): Draft[] {
  const clocks = Array.from({ length: shape.clients }, () => random.below(10));
  return Array.from({ length: shape.operations }, (_, at) => {
    const client = random.below(shape.clients);
    const call = (clocks[client] ?? 0) + random.below(8);
    const end = call + 1 + random.below(20);
    const op = random.pick(["get", "get", "put", "put", "put", "delete"] as const);
    const isUnknown = op !== "get" && random.chance(shape.unknownPercent);
    clocks[client] = end + 1;
    // What has no answer may take effect long after its client has gone on under another name.
    const latest = isUnknown ? end + 100 : end;
    const ifVersion = op !== "get" && random.chance(30) ? random.below(4) : undefined;
    const name = isUnknown ? `c${client}/${at}` : `c${client}`;
    const operation: Mutable = {
      client: name,
      key: `k${random.below(shape.keys)}`,
      op,
      in: {
        ...(op === "put" && { value: `v${at}` }),
        ...(ifVersion !== undefined && { ifVersion }),
      },
      call,
      return: isUnknown ? null : end,
      outcome: isUnknown ? "unknown" : "ok",
    };
    const effect = call + ((latest - call) * random.below(1_000_001)) / 1_000_000;
    return { operation, effect, isUnknown, isLost: isUnknown && random.chance(50) };
  });
}

/** What the true store does and says. */
function answer(
  operation: Mutable,
  store: { revision: number; readonly keys: Map<string, KeyState> },
): void {
  const { key, op, in: input } = operation;
  const state = store.keys.get(key) ?? ABSENT;
  const now = {
    version: state.version,
    ...(state.version > 0 && { revision: state.revision ?? 0 }),
    storeRevision: store.revision,
  };
  if (op === "get") {
    operation.out = { ...now, value: state.value };
  } else if (input.ifVersion !== undefined && input.ifVersion !== state.version) {
    operation.outcome = "refused";
    operation.out = now;
  } else if (op === "put") {
    store.revision += 1;
    const { revision } = store;
    const version = state.version + 1;
    store.keys.set(key, { value: input.value ?? "", version, revision });
    operation.out = { version, revision, storeRevision: revision };
  } else if (state.version === 0) {
    operation.out = { version: 0, deleted: 0, storeRevision: store.revision };
  } else {
    store.revision += 1;
    store.keys.set(key, ABSENT);
    operation.out = { version: 0, deleted: 1, revision: store.revision };
  }
}

function forget(operation: Mutable): void {
  operation.outcome = "unknown";
  delete operation.out;
}
