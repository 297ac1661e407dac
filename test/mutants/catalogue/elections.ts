/** Planted bugs: elections, and what time may and may not do. */
import type { Mutation } from "../mutation.ts";

const candidate = "src/raft/candidate.ts";
const core = "src/raft/core.ts";
const follower = "src/raft/follower.ts";
const leader = "src/raft/leader.ts";
const raft = "src/raft/raft.ts";
const identity = "src/transport/identity.ts";
const runtime = "src/node/node-runtime.ts";

export const elections: readonly Mutation[] = [
  {
    id: "E1-vote-before-disk",
    breaks: "A granted vote leaves before it is on disk.",
    edits: [
      {
        file: follower,
        from: 'core.sendAfterPersist(m.from, { type: "voted", granted: true });',
        to: 'core.send(m.from, { type: "voted", granted: true });',
      },
    ],
  },
  {
    id: "E1-vote-never-saved",
    breaks: "A vote is kept in memory only.",
    edits: [
      {
        file: follower,
        from: "if (core.vote === null) core.setHardState(core.term, m.from);",
        to: "if (core.vote === null) core.vote = m.from;",
      },
    ],
  },
  {
    id: "E1-two-votes",
    breaks: "Whoever asks gets a vote, also a second candidate in the same term.",
    edits: [
      {
        file: follower,
        from: "const mayHaveIt = core.vote === m.from || isFree;",
        to: "const mayHaveIt = true;",
      },
    ],
  },
  {
    id: "E1-promises-pass-writes",
    breaks: "A promise that needs no write of its own does not wait for the writes before it.",
    edits: [
      {
        file: "src/node/node.ts",
        from: "if (write === null && promises.length === 0) return;",
        to: "if (write === null) return this.send(promises);",
      },
    ],
  },
  {
    id: "E2-own-vote-before-disk",
    breaks: "A candidate asks for votes, counts its own and leads before any of it is on disk.",
    edits: [
      {
        file: candidate,
        from: 'core.role = { kind: "candidate", votes: new Map() };',
        to: 'core.role = { kind: "candidate", votes: new Map([[core.id, true]]) };',
      },
      {
        file: candidate,
        from: 'core.sendAfterPersist(peer, { type: "vote", lastIndex, lastTerm, isTransfer });',
        to: 'core.send(peer, { type: "vote", lastIndex, lastTerm, isTransfer });',
      },
      {
        file: candidate,
        from: 'if (verdict === "won" && core.termIsDurable) becomeLeader(core);',
        to: 'if (verdict === "won") becomeLeader(core);',
      },
      {
        file: leader,
        from: '  assert(core.termIsDurable, "leading a term that is not on disk");\n',
        to: "",
      },
    ],
  },
  {
    id: "E2-request-before-disk",
    breaks: "A candidate asks for votes before its own term and vote are on disk.",
    edits: [
      {
        file: candidate,
        from: 'core.sendAfterPersist(peer, { type: "vote", lastIndex, lastTerm, isTransfer });',
        to: 'core.send(peer, { type: "vote", lastIndex, lastTerm, isTransfer });',
      },
    ],
  },
  {
    id: "E3-late-vote",
    breaks: "A vote of an older term counts in the present one.",
    edits: [
      {
        file: raft,
        from: "if (m.term < core.term) return this.onOldMessage(m);",
        to: 'if (m.term < core.term && m.type !== "voted") return this.onOldMessage(m);',
      },
    ],
  },
  {
    id: "E3-late-prevote",
    breaks: "An answer to an older round of pre-votes counts in the present one.",
    edits: [
      {
        file: candidate,
        from: 'core.role.kind !== "precandidate" || core.role.round !== m.round',
        to: 'core.role.kind !== "precandidate"',
      },
    ],
  },
  {
    id: "E4-length-before-term",
    breaks: "The longer log wins, though its last entry is of an older term.",
    edits: [
      {
        file: follower,
        from: "if (candidate.lastTerm !== lastTerm) return candidate.lastTerm > lastTerm;",
        to: "if (candidate.lastIndex !== lastIndex) return candidate.lastIndex > lastIndex;",
      },
      {
        file: follower,
        from: "return candidate.lastIndex >= lastIndex;",
        to: "return candidate.lastTerm >= lastTerm;",
      },
    ],
  },
  {
    id: "E4-any-log-wins",
    breaks: "Votes and pre-votes are granted whatever the candidate's log lacks.",
    edits: [
      {
        file: follower,
        from: "if (candidate.lastTerm !== lastTerm) return candidate.lastTerm > lastTerm;",
        to: "void lastTerm;",
      },
      {
        file: follower,
        from: "return candidate.lastIndex >= lastIndex;",
        to: "return lastIndex >= 0;",
      },
    ],
  },
  {
    id: "E5-no-prevote",
    breaks: "A node that hears nobody raises its term without asking whether it could win.",
    edits: [
      {
        file: candidate,
        from: "  countPrevotes(core, votes);\n",
        to: "  becomeCandidate(core);\n",
      },
    ],
    tests: ["test/integration/partition.test.ts"],
  },
  {
    id: "E6-prevote-despite-leader",
    breaks: "A node that hears its leader consents to replacing it.",
    edits: [
      {
        file: follower,
        from: "m.term >= core.term && mayVote(core, false) && isUpToDate(core, m)",
        to: "m.term >= core.term && isUpToDate(core, m)",
      },
    ],
  },
  {
    id: "E6-vote-despite-leader",
    breaks: "A request for a vote raises the term of a node that hears its leader.",
    edits: [
      {
        file: raft,
        from: "m.term > core.term && !mayVote(core, m.isTransfer)) return;",
        to: "m.term < 0 && !mayVote(core, m.isTransfer)) return;",
      },
    ],
  },
  {
    id: "E6-resigned-leader-is-heard",
    breaks: "Repeated messages of a leader that has resigned keep its followers loyal.",
    edits: [{ file: follower, from: "  if (core.resigned.has(leader)) return;\n", to: "" }],
  },
  {
    id: "E7-no-check-of-quorum",
    breaks: "A leader that hears nobody goes on leading.",
    edits: [
      {
        file: leader,
        from: "  if (silence >= core.options.electionMs) return core.becomeFollower(core.term);\n",
        to: "",
      },
    ],
    tests: ["test/integration/partition.test.ts"],
  },
  {
    id: "E10-refusal-resets-timer",
    breaks: "Refusing a vote puts off the node's own election.",
    edits: [
      {
        file: follower,
        from: "!mayHaveIt || !isUpToDate(core, m)) {\n",
        to: "!mayHaveIt || !isUpToDate(core, m)) {\n    core.resetElectionTimer();\n",
      },
    ],
  },
  {
    id: "E10-old-leader-resets-timer",
    breaks: "A leader of an older term keeps the node from standing for election.",
    edits: [
      {
        file: raft,
        from: '      core.reply(m.from, { type: "stale" });\n',
        to: '      core.resetElectionTimer();\n      core.reply(m.from, { type: "stale" });\n',
      },
    ],
  },
  {
    id: "E11-equal-timers",
    breaks: "All nodes wait equally long before they stand for election.",
    edits: [
      {
        file: core,
        from: "this.now + electionMs + random.below(electionMs)",
        to: "this.now + electionMs",
      },
    ],
  },
  {
    id: "E12-restarted-voter-forgets",
    breaks: "A restarted node votes at once, though it may have just heard the leader.",
    edits: [
      {
        file: core,
        from: "(restarted ? now + options.electionMs : now) as Millis",
        to: "(restarted ? now : now) as Millis",
      },
    ],
  },
  {
    id: "E13-timers-before-sockets",
    breaks: "After a pause the timer acts before the heartbeats in the sockets are read.",
    edits: [
      {
        file: runtime,
        from: "due ??= setImmediate(() => {\n        due = null;\n        run();\n      });",
        to: "run();",
      },
    ],
    tests: ["test/node"],
  },
  {
    id: "E13-pause-is-others-fault",
    breaks: "A process that stood still takes its own pause for the leader's silence.",
    edits: [
      {
        file: core,
        from: "if (gap <= STALL_TICKS * tickMs) return 0;",
        to: "if (gap <= Number.POSITIVE_INFINITY) return 0;",
      },
    ],
  },
  {
    id: "E14-hung-disk-leads",
    breaks: "A leader whose disk hangs goes on leading.",
    edits: [
      {
        file: leader,
        from: "  if (core.diskHangs) return handOver(core, leader);\n",
        to: "",
      },
    ],
  },
  {
    id: "E14-hung-disk-keeps-it-to-itself",
    breaks: "A leader whose disk hangs leaves without asking another to stand for election.",
    edits: [
      {
        file: leader,
        from: "  if (core.diskHangs) return handOver(core, leader);\n",
        to: "  if (core.diskHangs) return core.becomeFollower(core.term);\n",
      },
    ],
  },
  {
    id: "E14-hung-disk-campaigns",
    breaks: "A node whose disk hangs stands for election.",
    edits: [
      {
        file: follower,
        from: "if (core.mayCampaign && !core.diskHangs) campaign(core);",
        to: "if (core.mayCampaign) campaign(core);",
      },
    ],
  },
  {
    id: "E15-other-cluster-is-heard",
    breaks: "A node listens to the members of another cluster.",
    edits: [
      {
        file: identity,
        from: "if (cluster !== self.cluster) {",
        to: 'if (cluster === "") {',
      },
    ],
    tests: ["test/transport", "test/integration/start-and-stop.test.ts"],
  },
  {
    id: "E15-meant-for-another",
    breaks: "A node takes what was sent to another one.",
    edits: [{ file: identity, from: "if (to !== self.id) return", to: 'if (to === "") return' }],
    tests: ["test/transport"],
  },
];
