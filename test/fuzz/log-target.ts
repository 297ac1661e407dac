/** What must hold of every log that recovery accepts: a node can start from it. */
import { assert } from "../../src/lib/assert.ts";
import { Prng } from "../../src/lib/random.ts";
import { configurationOf } from "../../src/raft/membership.ts";
import { Raft } from "../../src/raft/raft.ts";
import type { Millis, NodeId } from "../../src/raft/types.ts";
import { type RecoveredLog, recoverLog } from "../../src/storage/recovery.ts";
import { SEGMENT } from "./log-seals.ts";
import { assertSafeNumbers } from "./target.ts";

const n1 = "n1" as NodeId;
const MIB = 1024 * 1024;

/** Recovers the log in one segment file. True: it was accepted, and makes sense. */
export function assertRecovers(input: Uint8Array): boolean {
  const found = recoverLog([{ sequence: SEGMENT, read: () => input }]);
  if (found.kind === "problem") {
    assert(/^[\x20-\x7e]{10,200}$/.test(found.line), "a problem is told in one line");
    return false;
  }
  const { hardState, base, entries, next } = found;
  assertSafeNumbers({ hardState, base, entries, next });
  let before: { readonly index: number; readonly term: number } = base;
  for (const entry of entries) {
    assert(entry.index === before.index + 1, "entries leave a gap");
    assert(entry.term >= before.term, "the term goes back");
    before = entry;
  }
  if (base.index === 0) start(found);
  return true;
}

/** A log that begins at its beginning needs no snapshot to start from. */
function start({ hardState, base, entries }: RecoveredLog): void {
  const raft = new Raft(
    {
      id: n1,
      bootstrap: configurationOf({ voters: [n1, "n2" as NodeId, "n3" as NodeId] }),
      heartbeatMs: 10,
      electionMs: 100,
      leaseMs: 0,
      tickMs: 5,
      appendEntriesMax: 100,
      appendBytesMax: MIB,
      applyEntriesMax: 100,
      window: { bytes: MIB, messages: 4 },
      logBytesMax: MIB,
      unappliedEntriesMax: 100,
      unappliedBytesMax: MIB,
      random: new Prng("start"),
    },
    { hardState, snapshot: null, base, entries, doubt: null },
    0 as Millis,
  );
  assert(raft.status(0 as Millis).lastIndex === entries.length, "the core lost entries");
}
