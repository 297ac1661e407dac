/** Whether what is on a node's disk is whole. */
import { readIdentity } from "../../src/node/identity.ts";
import { Scrub } from "../../src/storage/scrub.ts";
import { openRig } from "../storage/fixtures.ts";
import type { SimNode } from "../sim/sim-node.ts";

/** Fails unless a start would find nothing wrong, nor would a look at all that is there. */
export function nothingIsDamaged(node: SimNode): void {
  const { disk, pump, storage } = openRig(node.disk);
  pump.settle();
  if (storage.notes.length > 0) throw new Error(storage.notes.join("; "));
  if (readIdentity(disk)?.since === null) throw new Error("it is in doubt");
  const scrub = new Scrub({
    disk,
    wal: storage.wal,
    snapshots: storage.snapshots,
    heal: ({ name, what }) => {
      throw new Error(`${name}: ${what}`);
    },
  });
  while (scrub.counters().rounds === 0) {
    scrub.step();
    pump.settle();
  }
}
