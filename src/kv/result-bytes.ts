/** How much memory results keep alive until they are told. */
import { unreachable } from "../lib/assert.ts";
import type { KvResult } from "./result.ts";
import type { OperationResult, TxnResult } from "./txn.ts";
import type { KeyValue } from "./version.ts";

/** A result without the values it may carry. */
const RESULT_BYTES = 256;

/** How much memory a result keeps alive, about. */
export function resultBytes(result: KvResult): number {
  if (!result.ok) return RESULT_BYTES;
  const { txn, previous, leases = [] } = result;
  const values = (previous?.value.length ?? 0) + (txn === undefined ? 0 : bytesOfTxn(txn));
  return RESULT_BYTES * (1 + leases.length) + values;
}

function bytesOfTxn({ results }: TxnResult): number {
  return results.reduce((sum, result) => sum + RESULT_BYTES + bytesOfOperation(result), 0);
}

function bytesOfOperation(result: OperationResult): number {
  switch (result.type) {
    case "put":
      return result.previous?.value.length ?? 0;
    case "delete":
      return bytesOfAll(result.previous);
    case "get":
      return bytesOfAll(result.items);
    case "txn":
      return bytesOfTxn(result);
    case "increment":
      return 0;
    default:
      return unreachable(result);
  }
}

function bytesOfAll(found: readonly KeyValue[]): number {
  return found.reduce((sum, { key, value }) => sum + RESULT_BYTES + key.length + value.length, 0);
}
