/** What `import … from "quorate"` gives: the client. */
export type { Backup } from "./backup.ts";
export type { CallOptions } from "./caller.ts";
export { type ClientOptions, QuorateClient } from "./client.ts";
export type {
  Cluster,
  ClusterStatus,
  LeaderStatus,
  Member,
  MemberChanges,
  NewMember,
} from "./cluster.ts";
export { type Outcome, QuorateError } from "./error.ts";
export type { Lease, LeaseKeys, Leases, LeaseState } from "./leases.ts";
export type { CountOptions, ListAllOptions, ListOptions, Page, RangeOptions } from "./lists.ts";
export type { Guard, Lock, LockOptions } from "./locks.ts";
export type {
  DeleteOptions,
  DeleteResult,
  IncrementOptions,
  IncrementResult,
  LifeOptions,
  PutOptions,
  PutResult,
  ReadOptions,
  WriteConditions,
} from "./single-keys.ts";
export type { EndpointStatus, NodeStatus } from "./status.ts";
export type {
  Compare,
  GetOperation,
  Operation,
  OperationResult,
  PutOperation,
  Relation,
  Txn,
  TxnResult,
} from "./txn.ts";
export type { Entry, Metadata, NamedKey, Value } from "./values.ts";
export type { WatchEventKind, WatchOptions } from "./watch.ts";
export type { BookmarkEvent, GoneEvent, PutEvent, WatchEvent } from "./watch-stream.ts";
