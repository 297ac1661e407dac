/** Histories: what clients did, when, and what they were told. docs/HISTORY.md tells the format. */

/**
 * What every operation has. `call` and `return` are moments of one monotonic clock, in any unit,
 * taken right before the request was sent and right after the answer came; `return` is null where
 * the outcome is unknown, as it may then take effect at any later time.
 *
 * `ok`: done, as `out` says. `refused`: a condition did not hold, so nothing was changed, and `out`
 * tells the version that the key had instead. `failed`: certainly nothing was or will be changed.
 * `unknown`: a write that may have been done, or may be done later.
 */
interface Asked {
  readonly client: string;
  readonly call: number;
  readonly return: number | null;
  readonly outcome: "ok" | "refused" | "failed" | "unknown";
}

/** One operation of one client on one key. */
export interface Operation extends Asked {
  readonly key: string;
  readonly op: "get" | "put" | "delete" | "increment";
  readonly in: {
    /** Of a put. */
    readonly value?: string | undefined;
    /** The write is wanted only at this version of the key; 0: the key must not exist. */
    readonly ifVersion?: number | undefined;
    /** Of a put: the name of the lease that the key goes with. Left out: none. */
    readonly lease?: string | undefined;
    /** Of an increment, which keeps the lease. */
    readonly by?: number | undefined;
  };
  readonly out?: Out | undefined;
}

/** What an answer says. Revisions may be left out; a checker can do without them. */
export interface Out {
  /** Of the key after the operation; 0: it is not there. */
  readonly version: number;
  /** Of the change that was made, or of the last change of the key that was read. */
  readonly revision?: number | undefined;
  /** Of the whole store at the moment of a read. */
  readonly storeRevision?: number | undefined;
  /** What a get has read, or an increment has made; null: the key is not there. */
  readonly value?: string | null | undefined;
  /** How many keys a delete has removed: 0 or 1. */
  readonly deleted?: number | undefined;
}

/** What a transaction does, in this order: each step sees what those before it have done. */
export type TxnStep =
  | { readonly op: "get" | "delete"; readonly key: string }
  | {
      readonly op: "put";
      readonly key: string;
      readonly value: string;
      readonly lease?: string | undefined;
    }
  | { readonly op: "increment"; readonly key: string; readonly by: number }
  | { readonly op: "deletePrefix"; readonly prefix: string };

/** Of a key that is not there all numbers are 0, and no compare of its value holds. */
export interface Compare {
  readonly key: string;
  readonly target: "version" | "createRevision" | "modRevision" | "value";
  readonly relation: "=" | "!=" | "<" | ">";
  /** A text for `value`, else a number. */
  readonly to: number | string;
}

/** If all compares hold, `success` is done, else `failure`: all of it under one revision. */
export interface TxnOperation extends Asked {
  readonly op: "txn";
  readonly in: {
    readonly compare: readonly Compare[];
    readonly success: readonly TxnStep[];
    readonly failure: readonly TxnStep[];
  };
  readonly out?:
    | {
        readonly succeeded: boolean;
        /** Of the store afterwards. */
        readonly revision?: number | undefined;
        /** Of the steps that were done, in their order. */
        readonly results: readonly StepOut[];
      }
    | undefined;
}

/** As in Out. A delete tells only `deleted`, the others all but that. */
export interface StepOut {
  readonly version?: number | undefined;
  readonly revision?: number | undefined;
  readonly value?: string | null | undefined;
  readonly deleted?: number | undefined;
}

/** A key that was listed. */
export interface Item {
  readonly key: string;
  readonly version: number;
  readonly revision?: number | undefined;
  readonly value: string;
}

/** Many keys, read at one revision: those with a prefix, or those that are named. */
export interface RangeOperation extends Asked {
  readonly op: "range";
  readonly in: {
    readonly prefix?: string | undefined;
    readonly keys?: readonly string[] | undefined;
    /** The first so many, in bytewise order. Left out: all. */
    readonly limit?: number | undefined;
    /** The revision that was asked for. Left out: the newest. */
    readonly at?: number | undefined;
  };
  readonly out?:
    | {
        /** Those that were there. */
        readonly items: readonly Item[];
        /** How many were there, whatever the limit. */
        readonly count?: number | undefined;
        readonly storeRevision?: number | undefined;
      }
    | undefined;
}

/**
 * The end of a lease, which deletes its keys. No client asks for it, and nobody is told: its
 * outcome is unknown, and it is called at the first moment at which the store may do it.
 */
export interface ExpireOperation extends Asked {
  readonly op: "expire";
  readonly in: { readonly lease: string };
  readonly out?: undefined;
}

export type AnyOperation = Operation | TxnOperation | RangeOperation | ExpireOperation;

/** The line of an operation, with its end. */
export function lineOf(operation: AnyOperation): string {
  return `${JSON.stringify(operation)}\n`;
}
