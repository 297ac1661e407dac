/** Copies of the whole state. */
import type { Caller, CallOptions } from "./caller.ts";
import { badAnswer } from "./error.ts";

/** A copy of the whole state at one revision, on its way. */
export interface Backup {
  readonly revision: number;
  /** Which node sends it. */
  readonly node: string;
  /**
   * All of it, once. They end with a checksum over the whole, which `quorate restore` looks at;
   * where the connection breaks, they end with an error instead.
   */
  readonly bytes: AsyncIterableIterator<Uint8Array>;
}

/** Opens one at the first endpoint that gives it. */
export async function openBackup(caller: Caller, options: CallOptions): Promise<Backup> {
  const question = { method: "GET", path: "/v1/admin/backup" } as const;
  const { headers, pieces } = await caller.open(question, options);
  const revision = Number(headers["quorate-revision"] ?? Number.NaN);
  if (Number.isSafeInteger(revision)) {
    return { revision, node: String(headers["quorate-node"]), bytes: pieces };
  }
  await pieces.next();
  await pieces.return();
  throw badAnswer(200);
}
