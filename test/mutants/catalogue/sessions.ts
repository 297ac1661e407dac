/** Planted bugs: transactions, leases, and what is remembered for those who ask again. */
import type { Mutation } from "../mutation.ts";

const apply = "src/kv/apply.ts";
const leader = "src/raft/leader.ts";
const leases = "src/kv/leases.ts";
const lockRows = "src/service/lock-rows.ts";
const locks = "src/service/locks.ts";
const snapshotReader = "src/kv/snapshot-reader.ts";
const txn = "src/kv/txn.ts";

export const sessions: readonly Mutation[] = [
  {
    id: "X1-retry-counts-again",
    breaks: "A request that comes again under its idempotency key is carried out again.",
    edits: [
      {
        file: apply,
        from: "if (known !== null) return known;",
        to: "if (known !== null && !known.ok) return known;",
      },
    ],
    tests: ["test/kv"],
  },
  {
    id: "X1-other-request-is-answered",
    breaks: "Another request under a used idempotency key gets the answer to the first one.",
    edits: [
      {
        file: "src/kv/remembered.ts",
        from: 'if (reply.fingerprint !== fingerprint) return "conflict";',
        to: "",
      },
    ],
    tests: ["test/kv"],
  },
  {
    id: "X2-replies-are-not-restored",
    breaks: "What was answered under idempotency keys is not in a restored state.",
    edits: [
      {
        file: snapshotReader,
        from: "this.remembered.load({ key, fingerprint, time, result });",
        to: "this.remembered.load({ key, fingerprint, time: 0 * time, result });",
      },
    ],
    tests: ["test/kv"],
  },
  {
    id: "X8-renewed-and-ended",
    breaks: "A lease that was renewed after it was proposed to end it is ended.",
    edits: [{ file: apply, from: " || leases.of(id).deadline > time", to: "" }],
    tests: ["test/kv"],
  },
  {
    id: "X8-renewal-counts-for-nothing",
    breaks: "A renewal is answered, and the lease ends as if there had been none.",
    edits: [
      {
        file: leases,
        from: "const deadline = Math.max(lease.deadline, deadlineAfter(time, lease.ttlMs));",
        to: "const deadline = Math.max(lease.deadline, time - lease.ttlMs);",
      },
    ],
    tests: ["test/kv"],
  },
  {
    id: "X8-leases-begin-anew",
    breaks: "After a restore every lease has all of its time before it again.",
    edits: [
      {
        file: snapshotReader,
        from: "this.leases.load(lease);",
        to: "this.leases.load({ ...lease, deadline: lease.deadline + lease.ttlMs });",
      },
    ],
    tests: ["test/kv"],
  },
  {
    id: "X8-stall-counts",
    breaks: "The time for which a leader stood still counts, though nobody could renew with it.",
    edits: [
      {
        file: leader,
        from: "leader.since = Math.min(leader.since + stalledMs, core.now) as Millis;",
        to: "",
      },
    ],
    tests: ["test/raft"],
  },
  {
    id: "X11-half-a-transaction",
    breaks: "A transaction whose lease is not there is carried out up to there.",
    edits: [
      {
        file: txn,
        from: "return problemIn(keys, plan) ?? carryOut(keys, plan, moment);",
        to: "return carryOut(keys, plan, moment) ?? problemIn(keys, plan);",
      },
    ],
    tests: ["test/kv"],
  },
  {
    id: "X11-reads-without-end",
    breaks: "A transaction that would read more than it may is carried out all the same.",
    edits: [{ file: txn, from: 'if (budget.isSpent) return "TXN_TOO_LARGE";', to: "" }],
    tests: ["test/kv"],
  },
  {
    id: "X11-purged-keys-count",
    breaks: "Whether a transaction reads too much depends on what a node has purged already.",
    edits: [
      {
        file: "src/kv/read-budget.ts",
        from: "of this.keyspace.liveFrom(key)) {",
        to: 'of this.keyspace["newest"].newestFrom(key) as Iterable<LiveVersion>) {',
      },
    ],
    tests: ["test/kv"],
  },
  {
    id: "X2-reply-is-larger-than-a-chunk",
    breaks: "What a transaction read is remembered, and no snapshot has room for it.",
    edits: [
      {
        file: "src/kv/outcome.ts",
        from: "return { ...result, items: [], more: result.more || result.items.length > 0 };",
        to: "return result;",
      },
      {
        file: "src/kv/remembered.ts",
        from: "assert(out.length <= OUTCOME_BYTES_MAX, () => `an outcome of ${out.length} bytes`);",
        to: "assert(out.length >= 0 * OUTCOME_BYTES_MAX, () => `an outcome of no bytes`);",
      },
    ],
    tests: ["test/kv"],
  },
  {
    id: "X1-values-drive-keys-out",
    breaks: "What a key was before is remembered, and large ones drive the keys of others out.",
    edits: [
      {
        file: "src/kv/outcome.ts",
        from: "return { ...result, previous: null, ...(txn !== undefined",
        to: "return { ...result, ...(txn !== undefined",
      },
      {
        file: "src/kv/remembered.ts",
        from: "assert(out.length <= OUTCOME_BYTES_MAX, () => `an outcome of ${out.length} bytes`);",
        to: "assert(out.length >= 0 * OUTCOME_BYTES_MAX, () => `an outcome of no bytes`);",
      },
    ],
    tests: ["test/kv"],
  },
  {
    id: "X7-place-is-old",
    breaks:
      "Who asks again for the lock it holds is told that it has it, and has only what is left.",
    edits: [
      {
        file: locks,
        from: "const isLonger = !mayShorten && this.#leftMs(own) >= wish.ttlMs;",
        to: "const isLonger = !mayShorten;",
      },
    ],
    tests: ["test/http/locks.test.ts"],
  },
  {
    id: "X7-gone-waiter-takes-all-with-it",
    breaks:
      "A request for a lock that is given up takes the place of a later one of the same owner.",
    edits: [
      {
        file: locks,
        from: 'const since = compareOf(place.key, "modRevision", place.revision);',
        to:
          "const last = this.#deps.store.get(place.key)?.modRevision ?? 0;" +
          'const since = compareOf(place.key, "modRevision", last);',
      },
    ],
    tests: ["test/http/locks.test.ts"],
  },
  {
    id: "X7-late-request-removes-the-lock",
    breaks: "A late request of the holder, whose client is gone, gives the lock back.",
    edits: [{ file: locks, from: "if (place.isOwn) {", to: "{" }],
    tests: ["test/http/locks.test.ts"],
  },
  {
    id: "X7-late-request-shortens",
    breaks: "A late request of the holder that asked for less time shortens that of the lock.",
    edits: [
      {
        file: locks,
        from: "const isLonger = !mayShorten && this.#leftMs(own) >= wish.ttlMs;",
        to: "const isLonger = false;",
      },
    ],
    tests: ["test/http/locks.test.ts"],
  },
  {
    id: "X7-all-wait-for-any-change",
    breaks: "Every change of the store has all who wait for a lock look at their row.",
    edits: [
      {
        file: lockRows,
        from: "if (from < store.compactRevision) return",
        to: "if (from > 0) return",
      },
    ],
    tests: ["test/service/lock-rows.test.ts"],
  },
  {
    id: "X7-snapshot-wakes-nobody",
    breaks: "Who waits for a lock never hears that it came free in what a snapshot skipped.",
    edits: [
      {
        file: lockRows,
        from: "if (from < store.compactRevision) return this.#wakeAll();",
        to: "if (from < store.compactRevision) return;",
      },
    ],
    tests: ["test/service/lock-rows.test.ts"],
  },
];
