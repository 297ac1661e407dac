/** What operations came to, as JSON. */
import type { OperationResult } from "../kv/txn.ts";
import { unreachable } from "../lib/assert.ts";
import { describe, describeItem, describeMetadata } from "./describe.ts";

/** Describes the results of a transaction, which are as large as the store allows. */
export function describeResults(results: readonly OperationResult[]): unknown[] {
  return results.map(describeResult);
}

function describeResult(result: OperationResult): unknown {
  switch (result.type) {
    case "put": {
      const { current, previous } = result;
      const prev = previous !== null && { prev: describe(previous) };
      return { put: { ...describeMetadata(current), ...prev } };
    }
    case "delete": {
      const { deleted, previous } = result;
      const prev = previous.length > 0 && { prev: previous.map(describe) };
      return { delete: { deleted, ...prev } };
    }
    case "get": {
      const { items, count, more } = result;
      return { get: { items: items.map(describeItem), count, more } };
    }
    case "increment":
      return { increment: { value: result.value, ...describeMetadata(result.current) } };
    case "txn": {
      const { succeeded, results } = result;
      return { txn: { succeeded, results: describeResults(results) } };
    }
    default:
      return unreachable(result);
  }
}
