/** All planted bugs. */
import { clients } from "./catalogue/clients.ts";
import { inDoubt } from "./catalogue/doubt.ts";
import { elections } from "./catalogue/elections.ts";
import { replication } from "./catalogue/replication.ts";
import { sessions } from "./catalogue/sessions.ts";
import { snapshots } from "./catalogue/snapshots.ts";
import { storage } from "./catalogue/storage.ts";
import { watch } from "./catalogue/watch.ts";
import type { Mutation } from "./mutation.ts";

/** In the order of the list of faults. */
export const catalogue: readonly Mutation[] = [
  ...elections,
  ...replication,
  ...storage,
  ...snapshots,
  ...inDoubt,
  ...clients,
  ...sessions,
  ...watch,
];
