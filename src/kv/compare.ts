/** Whether a compare holds. */
import { unreachable } from "../lib/assert.ts";
import { byteString } from "../lib/bytes.ts";
import type { Compare, Relation } from "./operation.ts";
import type { LiveVersion } from "./version.ts";

/** `found`: the keys of its range, as they are. Where there is none, all its numbers are 0. */
export function holds(compare: Compare, found: readonly LiveVersion[]): boolean {
  if (found.length > 0) return found.every((live) => holdsFor(compare, live));
  return compare.target !== "value" && relates(0, compare.relation, compare.number);
}

function holdsFor(compare: Compare, live: LiveVersion): boolean {
  const { relation } = compare;
  switch (compare.target) {
    case "value":
      return relates(startOf(live, compare.value.length + 1), relation, byteString(compare.value));
    case "lease":
      return relates(live.lease ?? 0, relation, compare.number);
    case "version":
    case "createRevision":
    case "modRevision":
      return relates(live[compare.target], relation, compare.number);
    default:
      return unreachable(compare);
  }
}

/** As much as it takes to compare it: one character a byte, so that they compare as bytes do. */
function startOf({ stored }: LiveVersion, length: number): string {
  return typeof stored === "string" ? stored : byteString(stored.subarray(0, length));
}

function relates<Of extends string | number>(a: Of, relation: Relation, b: Of): boolean {
  switch (relation) {
    case "=":
      return a === b;
    case "!=":
      return a !== b;
    case "<":
      return a < b;
    case ">":
      return a > b;
  }
}
