/** What a flipped bit or a bug does to a state in memory, and no command ever does. */
import type { Keyspace } from "../../src/kv/keyspace.ts";
import type { KvStore } from "../../src/kv/store.ts";
import type { Version } from "../../src/kv/version.ts";
import { key } from "./fixtures.ts";

/** Changes what memory holds of a key, which must be there. */
export function patch(store: KvStore, name: string, change: Partial<Version>): void {
  const { keyspace } = (store as unknown as { state: { keyspace: Keyspace } }).state;
  const live = keyspace.get(key(name));
  if (live === null) throw new Error(`there is no key ${name}`);
  Object.assign(live, change);
}
