/** Planted bugs: the store, and what clients are told. */
import type { Mutation } from "../mutation.ts";

const apply = "src/kv/apply.ts";
const chain = "src/kv/chain.ts";
const errors = "src/service/errors.ts";
const forward = "src/service/forward.ts";
const keyspace = "src/kv/keyspace.ts";
const kvSnapshot = "src/kv/snapshot.ts";
const node = "src/node/node.ts";
const snapshotReader = "src/kv/snapshot-reader.ts";
const store = "src/kv/store.ts";
const waiters = "src/node/waiters.ts";
const writes = "src/service/writes.ts";

export const clients: readonly Mutation[] = [
  {
    id: "X1-sent-twice",
    breaks: "A write is forwarded again after a first call that may have arrived.",
    edits: [
      {
        file: writes,
        from: "if (!reply.sent) return this.#waitForLeader(RETRY_MS);",
        to: "if (reply.sent || !reply.sent) return this.#waitForLeader(RETRY_MS);",
      },
    ],
    tests: ["test/service"],
  },
  {
    id: "X1-again-after-unknown",
    breaks: "A write whose fate a snapshot has hidden is proposed again.",
    edits: [
      {
        file: writes,
        from: '      case "unknown": {\n',
        to: '      case "unknown": {\n        if (outcome !== null) return this.#attempt();\n',
      },
    ],
    tests: ["test/service"],
  },
  {
    id: "X3-late-is-not-applied",
    breaks: "A write that a leader was asked to take is called not applied at the deadline.",
    edits: [
      {
        file: writes,
        from: '(this.#stage === "asked" && this.#withdraw());',
        to: '(this.#stage === "asked" && (this.#withdraw() || true));',
      },
    ],
    tests: ["test/service"],
  },
  {
    id: "X3-taken-is-not-applied",
    breaks: "A write that is in a leader's log is called not applied at the deadline.",
    edits: [
      {
        file: writes,
        from: 'const isNowhere = this.#stage === "waiting" ||',
        to: 'const isNowhere = this.#stage === "waiting" || this.#stage === "taken" ||',
      },
    ],
    tests: ["test/service"],
  },
  {
    id: "X3-unanswered-is-not-applied",
    breaks: "A write that was sent to a leader that never answered is called not applied.",
    edits: [{ file: errors, from: "FORWARD_FAILED: UNKNOWN,", to: "FORWARD_FAILED: LATER," }],
    tests: ["test/service"],
  },
  {
    id: "X3-skipped-is-lost",
    breaks: "A write whose place a snapshot has skipped over is called lost.",
    edits: [
      {
        file: waiters,
        from: 'for (const { done } of list) done({ kind: "unknown" });',
        to: 'for (const { done } of list) done({ kind: "lost" });',
      },
    ],
    tests: ["test/node"],
  },
  {
    id: "X3-refused-yet-proposed",
    breaks: "A proposal that was refused as too much goes into the log all the same.",
    edits: [
      {
        file: "src/raft/leader.ts",
        from: 'if (isBusy(core, data)) return "busy";\n',
        to: `if (isBusy(core, data)) {
    for (const item of data) core.appendNew("command", item);
    return "busy";
  }
`,
      },
    ],
  },
  {
    id: "X9-answer-of-another-term",
    breaks: "A write gets the answer of the one that replaced it in its place.",
    edits: [
      {
        file: waiters,
        from: 'if (term !== position.term) done({ kind: "lost" });',
        to: 'if (result === null) done({ kind: "lost" });',
      },
    ],
    tests: ["test/node"],
  },
  {
    id: "X9-first-waiter-gets-all",
    breaks: "Writes that were appended together all get the answer of the first.",
    edits: [
      {
        file: forward,
        from: "must(reply.positions[at],",
        to: "must(reply.positions[at * 0],",
      },
    ],
    tests: ["test/service"],
  },
  {
    id: "X9-old-answer-remembered",
    breaks: "What is told of a place applied before is the answer to its neighbour.",
    edits: [
      {
        file: waiters,
        from: "const recent = this.recent.get(position.index);",
        to: "const recent = this.recent.get((position.index - 1) as Index);",
      },
    ],
    tests: ["test/node", "test/service"],
  },
  {
    id: "X5-compare-an-older-revision",
    breaks: "A write conditional on one revision is applied though the key has a newer one.",
    edits: [
      {
        file: apply,
        from: "return modRevision === condition.modRevision ? null",
        to: "return modRevision >= condition.modRevision ? null",
      },
    ],
    tests: ["test/kv"],
  },
  {
    id: "X5-conditions-are-ignored",
    breaks: "Only the first of several conditions is looked at.",
    edits: [
      {
        file: apply,
        from: "    if (code !== null) return code;\n  }\n  return null;",
        to: "    return code;\n  }\n  return null;",
      },
    ],
    tests: ["test/kv"],
  },
  {
    id: "X6-version-survives-a-delete",
    breaks: "A key that was deleted and written again goes on with its old version numbers.",
    edits: [
      {
        file: keyspace,
        from: "version: (live?.version ?? 0) + 1,",
        to: "version: (live?.version ?? newest?.prev?.version ?? 0) + 1,",
      },
    ],
    tests: ["test/kv"],
  },
  {
    id: "X6-revision-used-again",
    breaks: "After a restore the store counts on from its newest key, and repeats revisions.",
    edits: [
      {
        file: snapshotReader,
        from: "    this.done({ keyspace, leases, remembered",
        to: `    const all = { start: "" as Key, end: null, revision: header.revision, limit: 1e9 };
    const found = keyspace.range(all).versions.map(({ modRevision }) => modRevision);
    keyspace.revision = found.reduce((max, each) => Math.max(max, each), 1);
    this.done({ keyspace, leases, remembered`,
      },
    ],
    tests: ["test/kv"],
  },
  {
    id: "R13-compacted-is-read",
    breaks: "A revision that was forgotten is read as if it were all there.",
    edits: [
      {
        file: store,
        from: 'return revision < this.compactRevision ? "compacted" : "ok";',
        to: 'return "ok";',
      },
    ],
    tests: ["test/kv"],
  },
  {
    id: "D1-wall-clock-in-the-state",
    breaks: "The state depends on each node's own clock.",
    edits: [
      {
        file: chain,
        from: "digest.number(time);",
        to: "digest.number(time + Date.now());",
      },
    ],
    tests: ["test/kv"],
  },
  {
    id: "D1-restored-state-differs",
    breaks: "A restored state counts the versions of its keys anew.",
    edits: [
      {
        file: kvSnapshot,
        from: "  out.varint(base.version);\n",
        to: "  out.varint(1);\n",
      },
    ],
    tests: ["test/kv"],
  },
  {
    id: "L10-applied-twice",
    breaks: "Every command is applied twice where a restart replays the log.",
    edits: [
      {
        file: "src/raft/log.ts",
        from: "this.applied = this.committed;\n",
        to: "this.applied = asIndex(Math.max(this.base.index, this.committed - 1));\n",
      },
    ],
  },
  {
    id: "L13-read-lost-is-answered",
    breaks: "Reads that were lost with the leadership are answered from this node's state.",
    edits: [
      {
        file: node,
        from: 'for (const token of ready.readsLost) this.answerRead(token, null, "quorum");',
        to: `const { committed } = this.deps.raft.core.log;
    for (const token of ready.readsLost) this.answerRead(token, committed, "quorum");`,
      },
    ],
  },
];
