/**
 * Opening a data directory that may be damaged, where the other members can help.
 *
 * What is lost may have been promised to others, so the node goes on in doubt (src/raft/doubt.ts).
 * That it is in doubt, under a new incarnation, is on disk before anything is set aside: whenever
 * this is interrupted, the next start finds either the damage or the doubt. In doubt nothing is
 * promised, so whatever can be read then will do.
 */
import { majority } from "../raft/quorum.ts";
import type { Disk } from "../storage/disk.ts";
import { segmentSequence } from "../storage/segment.ts";
import { setAside } from "../storage/set-aside.ts";
import { DamageError, StorageError } from "../storage/storage-error.ts";
import { type NodeIdentity, readIdentity, writeIdentity } from "./identity.ts";
import { type OpenNode, openNode, type OpenNodeOptions } from "./open-node.ts";

export interface RepairOptions<Result> extends Omit<OpenNodeOptions<Result>, "doubt"> {
  readonly identity: NodeIdentity;
  /** A name for an incarnation, used by no node before. */
  readonly newIncarnation: () => string;
}

/** A node that is ready to start, and who it is now. */
export interface Repaired<Result> {
  readonly opened: OpenNode<Result>;
  readonly identity: NodeIdentity;
  /** What was damaged, in one line; null: nothing was. */
  readonly damage: string | null;
}

/** Whether a majority is found among the others alone: without one nobody can end a doubt. */
export function canBeHelped(voters: number): boolean {
  return majority(voters) <= voters - 1;
}

/**
 * Opens the node; in doubt, if something is damaged or missing that it may have promised. `done` is
 * told why not, where that cannot be, or where nobody could ever end the doubt.
 */
export function openOrRepair<Result>(
  options: RepairOptions<Result>,
  done: (repaired: Repaired<Result> | StorageError) => void,
): void {
  const attempt = (identity: NodeIdentity, damage: string | null): void => {
    // What was just set aside is not missing.
    const needsLog = identity.joined && damage === null;
    tryOpen({ ...options, identity, needsLog }, (opened) => {
      if (!(opened instanceof StorageError)) return done({ opened, identity, damage });
      const { voters } = identity;
      // Once it is set aside, damage cannot be met again, unless the disk makes it.
      if (!(opened instanceof DamageError) || damage !== null) return done(opened);
      if (!canBeHelped(voters)) return done(beyondHelp(opened, voters));
      const { disk } = options;
      const doubtful = inDoubt(identity, options.newIncarnation());
      writeIdentity(disk, doubtful, () =>
        setAside(disk, "log", () => attempt(doubtful, opened.message)),
      );
    });
  };
  attempt(options.identity, null);
}

/**
 * The node after a loss, under a new name: also if it was in doubt already, as its leader has to
 * learn that what it sent since is gone.
 */
export function inDoubt(identity: NodeIdentity, incarnation: string): NodeIdentity {
  return { ...identity, incarnation, since: null };
}

/**
 * The data directory's identity, or null where it is new. If it cannot be read, nobody knows whose
 * log this is: all is set aside, and the node `fresh` goes on in doubt.
 */
export function recoverIdentity(
  disk: Disk,
  fresh: NodeIdentity,
  done: (identity: NodeIdentity | null, damage: string | null) => void,
): void {
  try {
    return done(readIdentity(disk), null);
  } catch (error) {
    if (!(error instanceof DamageError)) throw error;
    const doubtful = inDoubt({ ...fresh, since: 0 }, fresh.incarnation);
    setAside(disk, "log and snapshots", () =>
      writeIdentity(disk, doubtful, () => done(doubtful, error.message)),
    );
  }
}

function tryOpen<Result>(
  options: RepairOptions<Result> & { readonly needsLog: boolean },
  done: (opened: OpenNode<Result> | StorageError) => void,
): void {
  const { identity, disk, needsLog } = options;
  const doubt = identity.since === null ? identity.incarnation : null;
  try {
    // In doubt, too: the doubt may have been over, and that not yet on disk.
    if (needsLog && !hasLog(disk)) return done(new DamageError("the log is missing"));
    openNode({ ...options, doubt }, done);
  } catch (error) {
    if (!(error instanceof StorageError)) throw error;
    done(error);
  }
}

function hasLog(disk: Disk): boolean {
  return disk.list().some((name) => segmentSequence(name) !== null);
}

function beyondHelp({ message }: DamageError, voters: number): StorageError {
  return new StorageError(
    `${message}; what was promised to clients may be affected, and with ${voters} members no ` +
      "others can make it good, so nothing was changed: restore the data directory from a copy",
  );
}
