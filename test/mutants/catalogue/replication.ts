/** Planted bugs: replication, commits and linearizable reads. */
import type { Mutation } from "../mutation.ts";

const core = "src/raft/core.ts";
const follower = "src/raft/follower.ts";
const leader = "src/raft/leader.ts";
const log = "src/raft/log.ts";
const node = "src/node/node.ts";
const progress = "src/raft/progress.ts";
const raft = "src/raft/raft.ts";
const readIndex = "src/raft/read-index.ts";

export const replication: readonly Mutation[] = [
  {
    id: "L1-older-term-by-counting",
    breaks: "An entry of an older term is committed by counting who has it (figure 8).",
    edits: [
      {
        file: leader,
        from: "if (index > log.committed && log.termAt(index) === core.term) log.commitTo",
        to: "if (index > log.committed) log.commitTo",
      },
    ],
  },
  {
    id: "L1-no-entry-of-its-own",
    breaks: "A new leader does not begin with an entry of its own term.",
    edits: [{ file: leader, from: '  core.appendNew("noop", NO_DATA);\n', to: "" }],
  },
  {
    id: "L2-late-append-truncates",
    breaks: "A late append cuts off what was appended, and acknowledged, after it.",
    edits: [
      {
        file: follower,
        from: "const matched = asIndex(m.prevIndex + m.entries.length);",
        to: `const matched = asIndex(m.prevIndex + m.entries.length);
  const end = Math.max(matched, log.committed);
  if (end < log.lastIndex) core.truncateFrom(end + 1);`,
      },
    ],
  },
  {
    id: "L3-commit-beyond-the-append",
    breaks: "A follower commits entries that the append did not verify.",
    edits: [
      {
        file: follower,
        from: "log.commitTo(asIndex(Math.min(m.commit, matched)));",
        to: "log.commitTo(asIndex(Math.min(m.commit, log.lastIndex)));",
      },
    ],
  },
  {
    id: "L3-heartbeat-commits-unmatched",
    breaks: "A heartbeat tells of the commit beyond what the follower is known to match.",
    edits: [
      {
        file: leader,
        from: "const commit = asIndex(Math.min(core.log.committed, progress.matched));",
        to: "const commit = asIndex(Math.min(core.log.committed, core.log.lastIndex));",
      },
      {
        file: leader,
        from: "for (const [peer, progress] of leader.progress) {\n    const commit",
        to: "for (const peer of leader.progress.keys()) {\n    const commit",
      },
      {
        file: follower,
        from: "log.commitTo(doubt === null ? commit :",
        to: "log.commitTo(doubt === null ? asIndex(Math.min(commit, log.lastIndex)) :",
      },
    ],
  },
  {
    id: "L4-matches-all-it-has",
    breaks: "A follower acknowledges its whole log, not what the append verified.",
    edits: [
      {
        file: follower,
        from: "  acknowledge(core, m.from, matched);",
        to: "  acknowledge(core, m.from, log.lastIndex);",
      },
    ],
  },
  {
    id: "L4-match-goes-back",
    breaks: "A late acknowledgement lowers what the follower is known to have.",
    edits: [
      {
        file: progress,
        from: "if (matched > this.matched) this.matched = matched;",
        to: "this.matched = matched;",
      },
    ],
  },
  {
    id: "L5-stale-refusal",
    breaks: "A late refusal sends everything again that has been acknowledged since.",
    edits: [
      {
        file: leader,
        from: `  if (m.prevIndex <= progress.matched) return;
  if (progress.mode === "probe" && m.prevIndex !== progress.next - 1) return;
`,
        to: "",
      },
    ],
  },
  {
    id: "L5-any-answer-ends-a-probe",
    breaks: "An answer to a heartbeat ends a probe, and the whole log is sent again.",
    edits: [
      {
        file: progress,
        from: 'if (this.mode === "probe" && isProbeAnswered) this.replicate();',
        to: 'void isProbeAnswered;\n    if (this.mode === "probe") this.replicate();',
      },
    ],
  },
  {
    id: "L6-back-one-by-one",
    breaks: "A leader goes back over a conflict by one entry in each round trip.",
    edits: [
      {
        file: leader,
        from: "progress.probeFrom(Math.min(m.prevIndex, agree.index + 1));",
        to: "void agree;\n  progress.probeFrom(m.prevIndex);",
      },
    ],
  },
  {
    id: "L7-leader-counts-memory",
    breaks: "A leader counts itself for entries that its own disk does not have yet.",
    edits: [
      {
        file: leader,
        from: "id === core.id ? log.durable :",
        to: "id === core.id ? log.lastIndex :",
      },
    ],
  },
  {
    id: "L7-applies-before-disk",
    breaks: "A single node commits, applies and answers before its disk has the write.",
    edits: [
      {
        file: leader,
        from: "id === core.id ? log.durable :",
        to: "id === core.id ? log.lastIndex :",
      },
      {
        file: log,
        from: "return Math.min(this.committed, this.durable) > this.applied;",
        to: "return this.committed > this.applied;",
      },
      {
        file: log,
        from: "asIndex(Math.min(this.committed, this.durable, this.applied + max))",
        to: "asIndex(Math.min(this.committed, this.applied + max))",
      },
    ],
  },
  {
    id: "L7-acknowledged-before-disk",
    breaks: "A follower acknowledges entries before its disk has them.",
    edits: [
      {
        file: follower,
        from: "core.sendAfterPersist(leader, { type, matched });",
        to: "core.send(leader, { type, matched });",
      },
    ],
  },
  {
    id: "L7-minority-commits",
    breaks: "Half of the nodes are taken for a majority.",
    edits: [
      {
        file: "src/raft/quorum.ts",
        from: "return Math.floor(count / 2) + 1;",
        to: "return Math.ceil(count / 2);",
      },
    ],
  },
  {
    id: "L11-write-of-replaced-entry",
    breaks: "A finished write of entries that were replaced meanwhile counts for the new ones.",
    edits: [
      {
        file: core,
        from: "write.lastIndex = Math.min(write.lastIndex, index - 1);",
        to: "write.lastIndex = Math.max(write.lastIndex, 0);",
      },
    ],
  },
  {
    id: "L11-replaced-still-durable",
    breaks: "What replaces durable entries is taken for durable itself.",
    edits: [
      {
        file: log,
        from: "    this.durable = Math.min(this.durable, index - 1) as Index;\n",
        to: "",
      },
    ],
  },
  {
    id: "L13-follower-takes-proposals",
    breaks: "A node takes proposals into its log though another one leads.",
    edits: [
      {
        file: leader,
        from: 'core.role.kind !== "leader" || core.role.transfer !== null) return "not_leader";',
        to: 'core.leader === null) return "not_leader";',
      },
    ],
  },
  {
    id: "L14-tail-without-bound",
    breaks: "A leader without a quorum takes proposals without end.",
    edits: [{ file: leader, from: 'if (isBusy(core, data)) return "busy";', to: "void isBusy;" }],
  },
  {
    id: "L15-message-without-bound",
    breaks: "All that a follower lacks goes into one message.",
    edits: [{ file: log, from: "if (full && end > first) break;", to: "void full;" }],
  },
  {
    id: "L18-numbers-beyond-exact",
    breaks: "A peer may send a number that cannot be told from its neighbours.",
    edits: [
      {
        file: "src/transport/msgpack.ts",
        from: "if (!Number.isSafeInteger(value)) throw",
        to: "if (Number.isNaN(value)) throw",
      },
    ],
    tests: ["test/transport"],
  },
  {
    id: "R1-read-without-round",
    breaks: "A leader answers reads without asking whether it still leads.",
    edits: [
      {
        file: leader,
        from: "id === core.id ? reads.seq : (leader.progress.get(id)?.readAcked ?? 0)",
        to: "reads.seq",
      },
    ],
  },
  {
    id: "R1-read-joins-a-sent-round",
    breaks: "A round vouches for reads that arrived after it was sent.",
    edits: [
      {
        file: readIndex,
        from: "this.waiting.push({ token, byLease });",
        to: `const tokens = this.rounds.at(-1)?.tokens as number[] | undefined;
    if (tokens === undefined) this.waiting.push({ token, byLease });
    else tokens.push(token);`,
      },
    ],
  },
  {
    id: "R1-heartbeat-answer-confirms",
    breaks: "Any answer to a heartbeat confirms the newest round, whatever round it names.",
    edits: [
      {
        file: leader,
        from: "progress.readAcked = Math.max(progress.readAcked, m.readSeq);",
        to: "progress.readAcked = core.reads.seq;",
      },
    ],
  },
  {
    id: "R2-read-before-own-commit",
    breaks: "A new leader answers reads before it has committed an entry of its own.",
    edits: [
      {
        file: leader,
        from: "if (core.reads.hasWaiting && hasCommittedOwn(core)) readNow",
        to: "if (core.reads.hasWaiting) readNow",
      },
    ],
  },
  {
    id: "R2-index-of-what-is-applied",
    breaks: "A read gets the index that the leader has applied, not the one it has committed.",
    edits: [
      {
        file: leader,
        from: "reads.startRound(core.now, log.committed);",
        to: "reads.startRound(core.now, log.applied);",
      },
    ],
  },
  {
    id: "R3-round-number-used-again",
    breaks: "Numbers of read rounds begin anew with each leadership, and old answers count.",
    edits: [
      {
        file: readIndex,
        from: "    this.waiting = [];\n    return lost;",
        to: "    this.waiting = [];\n    this.seq = 0;\n    return lost;",
      },
      {
        file: raft,
        from: "if (m.term < core.term) return this.onOldMessage(m);",
        to: 'if (m.term < core.term && m.type !== "heard") return this.onOldMessage(m);',
      },
      {
        file: leader,
        from: "assert(m.readSeq <= core.reads.seq,",
        to: "assert(m.readSeq >= 0,",
      },
    ],
  },
  {
    id: "R4-read-before-applied",
    breaks: "A read is answered when its index is committed here, though not yet applied.",
    edits: [
      {
        file: node,
        from: `    if (index <= this.deps.raft.core.log.applied) {
      done();`,
        to: `    if (index <= this.deps.raft.core.log.committed) {
      done();`,
      },
    ],
  },
];
