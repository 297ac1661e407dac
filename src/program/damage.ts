/** What the operator is told of damage, and how it ends. */
import { must } from "../lib/assert.ts";
import type { KvResult } from "../kv/store.ts";
import { PeerBook } from "../node/identity.ts";
import type { OpenNode } from "../node/open-node.ts";
import type { RaftStatus } from "../raft/raft.ts";
import type { Disk } from "../storage/disk.ts";
import { DamageError } from "../storage/storage-error.ts";
import type { Log } from "./log.ts";
import type { Self } from "./members/self.ts";

/** What the data directory was found to be. */
export interface Found {
  readonly damage: string | null;
  readonly self: Self;
  readonly opened: OpenNode<KvResult>;
}

/** What the data directory was like. */
export function tellFound({ damage, self, opened }: Found, log: Log): void {
  if (damage !== null) log.error(`${damage}; set aside as *.damaged: the other nodes have it all`);
  if (self.since === null) log.warn(DOUBT_LINE);
  for (const note of opened.notes) log.warn(note);
}

export const DOUBT_LINE =
  "this node does not know what it has promised: until it has that from the others, it neither " +
  "votes nor counts";

interface Healing {
  readonly disk: Disk;
  readonly self: Self;
  readonly opened: OpenNode<KvResult>;
}

/** Once what makes it certain is on disk, so is the end of the doubt, and peers are told. */
export function endDoubt({ disk, self, opened }: Healing, now: RaftStatus, log: Log): void {
  const since = must(now.rejoined, "a doubt ends at an entry");
  opened.wal.write(null, () =>
    self.change(disk, { since }, () => {
      log.info(`all is there again, up to entry ${now.rejoined}: this node votes and counts`);
    }),
  );
}

/** What is known of the peers. If it is damaged, the others know enough meanwhile. */
export async function openPeerBook(disk: Disk, log: Log): Promise<PeerBook> {
  try {
    return new PeerBook(disk);
  } catch (error) {
    if (!(error instanceof DamageError)) throw error;
    log.error(`${error.message}; set aside: it is learnt again`);
    await new Promise<void>((resolve) => PeerBook.setAside(disk, resolve));
    return new PeerBook(disk);
  }
}
