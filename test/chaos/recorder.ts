/** The history: every operation, when it began and ended, and what became of it. */
import type { Operation } from "../checker/history.ts";
import type { Ending, Wish } from "./exchange.ts";
import type { Acknowledged } from "./watch-checks.ts";

/** An exchange as its client saw it, by one monotonic clock in nanoseconds. */
export interface Seen {
  readonly client: number;
  readonly wish: Wish;
  readonly ending: Ending;
  readonly call: bigint;
  readonly end: bigint;
}

/** How many operations ended how, and why those that failed did. */
export interface Tally {
  ok: number;
  refused: number;
  failed: number;
  unknown: number;
  readonly failures: Record<string, number>;
}

export class Recorder {
  readonly operations: Operation[] = [];
  readonly tally: Tally = { ok: 0, refused: 0, failed: 0, unknown: 0, failures: {} };
  #clients = 0;
  readonly #origin = process.hrtime.bigint();

  /** A name that no client had before. */
  newClient(): number {
    this.#clients += 1;
    return this.#clients;
  }

  /** The puts that were acknowledged. */
  get acknowledged(): readonly Acknowledged[] {
    return this.operations.flatMap(({ op, key, outcome, in: { value }, out }) => {
      if (op !== "put" || outcome !== "ok" || value === undefined) return [];
      return out?.revision === undefined ? [] : [{ key, value, revision: out.revision }];
    });
  }

  record(seen: Seen): void {
    const { ending } = seen;
    const { tally } = this;
    tally[ending.outcome] += 1;
    if ("why" in ending) tally.failures[ending.why] = (tally.failures[ending.why] ?? 0) + 1;
    this.operations.push(this.#operation(seen));
  }

  #operation({ client, wish, ending, call, end }: Seen): Operation {
    const { op, key, value, ifVersion } = wish;
    return {
      client: String(client),
      key,
      op,
      in: { ...(value !== undefined && { value }), ...(ifVersion !== undefined && { ifVersion }) },
      call: Number(call - this.#origin),
      // What is unknown may still take effect, so it has not ended.
      return: ending.outcome === "unknown" ? null : Number(end - this.#origin),
      outcome: ending.outcome,
      ...outOf(wish, ending),
    };
  }
}

function outOf(wish: Wish, ending: Ending): Pick<Operation, "out"> {
  if ("why" in ending) return {};
  const { version, revision, storeRevision } = ending;
  const more = ending.outcome === "refused" ? {} : moreOf(wish.op, ending);
  return { out: { version, ...(revision !== null && { revision }), storeRevision, ...more } };
}

/** What only one kind of operation tells. */
function moreOf(op: Wish["op"], { value, deleted }: Ending & { readonly outcome: "ok" }) {
  if (op === "get") return { value };
  return op === "delete" ? { deleted } : {};
}
