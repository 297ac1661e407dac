/** What is remembered of a result: what was done, and no values that were only read. */
import type { KvResult } from "./result.ts";
import type { OperationResult, TxnResult } from "./txn.ts";

/**
 * The most bytes that an outcome has. The largest is that of a transaction of 128 increments: each
 * 1 for its type, 9 for the value and 32 for the metadata, and 55 around them.
 */
export const OUTCOME_BYTES_MAX = 6 * 1024;

/**
 * The result without what the keys were before, and without what was read: how much was, it still
 * says, and that there is `more` than it tells.
 */
export function outcomeOf(result: KvResult): KvResult {
  if (!result.ok) return result;
  const { txn } = result;
  return { ...result, previous: null, ...(txn !== undefined && { txn: ofTxn(txn) }) };
}

function ofTxn({ succeeded, results }: TxnResult): TxnResult {
  return { succeeded, results: results.map(ofOperation) };
}

function ofOperation(result: OperationResult): OperationResult {
  switch (result.type) {
    case "put":
      return { ...result, previous: null };
    case "delete":
      return { ...result, previous: [] };
    case "get":
      return { ...result, items: [], more: result.more || result.items.length > 0 };
    case "increment":
      return result;
    case "txn":
      return { type: "txn", ...ofTxn(result) };
  }
}
