/** Getting a log out of the way that cannot be trusted, without losing what is in it. */
import type { Disk, Done } from "./disk.ts";
import { segmentSequence } from "./segment.ts";
import { snapshotPosition } from "./snapshot-files.ts";

const SUFFIX = ".damaged";

/**
 * Renames the files of the log, and of all snapshots too if they are not to be used either, so that
 * nothing reads them any more. Of what was set aside before, only these stay. `done` when that is
 * durable. It can be interrupted and begun again.
 */
export function setAside(disk: Disk, what: "log" | "log and snapshots", done: Done): void {
  const names = disk.list();
  const isMeant = (name: string) =>
    segmentSequence(name) !== null ||
    (what === "log and snapshots" && snapshotPosition(name) !== null);
  const moved = names.filter(isMeant);
  for (const name of names) {
    const isOld = name.endsWith(SUFFIX) && !moved.includes(name.slice(0, -SUFFIX.length));
    if (isOld && moved.length > 0) disk.remove(name);
  }
  const next = (at: number): void => {
    const name = moved[at];
    if (name === undefined) done();
    else disk.rename(name, name + SUFFIX, () => next(at + 1));
  };
  next(0);
}
