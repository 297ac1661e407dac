/** What query parameters mean, wherever nothing else is said. */

export const PARAMETERS: Readonly<Record<string, string>> = {
  all: "delete every key there is",
  consistency:
    "linearizable, the default: sees every write that was acknowledged before; lease: the same, " +
    "as far as clocks keep to the bound that the leader was given, and linearizable where it was " +
    "given none; stale: the node's own state, also without a leader",
  count_only: "count the keys, and send none of them",
  cursor: "the cursor of the page before; all else must be as in the first request",
  delimiter: "tell what goes on behind this as one prefix",
  end: "where to end, before this key",
  events: "which kinds of events: put, delete and expire, with commas between; all by default",
  fail: "409: answer a compare that fails by this status",
  initial: "begin with the keys as they are, and then an event `synced`",
  key: "watch this key",
  keys: "tell the keys of the lease, too",
  keys_only: "leave the values out",
  lease: "the id of a lease: the key ends with it",
  limit: "how many keys and prefixes a page has; 100 unless it is said, 1,000 of a lease",
  max_stale: "stale reads: refuse when the leader was last heard longer ago than this",
  min_revision: "wait until the node has this revision of the store: read your own writes anywhere",
  prefix: "keys that begin so",
  prev: "tell what was there before, too",
  raw: "send the bytes of the value, and nothing else",
  reverse: "from the last key to the first",
  revision: "read as it was at this revision of the store",
  since: "only what was changed after this revision of the store",
  start: "where to begin, with this key",
  strict: "404 where there is no such key",
  timeout: "how long the request may take; 5s unless it is said",
  token: "the token of the lock",
  ttl: "how long the key lives, in seconds with decimals; keep: as long as before",
  verbose: "a line for each check",
  version: "the version that the key must have; 0: it must not exist",
  wait: "how long to wait for a change of what the client has already",
};
