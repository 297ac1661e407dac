/** All planted bugs. */
import { clients } from "./catalogue/clients.ts";
import { divergence } from "./catalogue/divergence.ts";
import { inDoubt } from "./catalogue/doubt.ts";
import { elections } from "./catalogue/elections.ts";
import { leadership } from "./catalogue/leadership.ts";
import { members } from "./catalogue/members.ts";
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
  ...members,
  ...leadership,
  ...storage,
  ...snapshots,
  ...inDoubt,
  ...clients,
  ...sessions,
  ...watch,
  ...divergence,
];
