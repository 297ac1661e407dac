/** Planted bugs: how leadership is handed over, who may take it, and how long a lease lasts. */
import type { Mutation } from "../mutation.ts";

const core = "src/raft/core.ts";
const follower = "src/raft/follower.ts";
const leader = "src/raft/leader.ts";
const raft = "src/raft/raft.ts";
const transfer = "src/raft/transfer.ts";

export const leadership: readonly Mutation[] = [
  {
    id: "R6-lease-from-the-answer",
    breaks: "A lease counts from when the answer came, not from when the question left.",
    edits: [
      {
        file: leader,
        from: "sentAt + core.options.leaseMs",
        to: "core.now + core.options.leaseMs",
      },
    ],
  },
  {
    id: "R6-lease-by-an-old-clock",
    breaks: "Whether there is a lease is judged by the time of the last event before the read.",
    edits: [{ file: raft, from: "    if (lease !== null) this.core.now = lease.now;\n", to: "" }],
  },
  {
    id: "R10-lease-over-a-sleep",
    breaks: "A leader reads by a lease that ended while its machine slept.",
    edits: [
      {
        file: "src/node/node.ts",
        from: " && !this.sleep.mayHaveSlept(now) ?",
        to: " ?",
      },
    ],
    tests: ["test/service/lease-reads.test.ts"],
  },
  {
    id: "R6-term-ends-loyalty",
    breaks: "A term that is learned from an answer lets a node vote that a leader counts on.",
    edits: [
      {
        file: core,
        from: "      this.forgetLeader();\n",
        to: "      this.heardLeaderAt = null;\n",
      },
    ],
  },
  {
    id: "R7-lease-while-it-hands-over",
    breaks: "A leader that has told another to stand for election goes on reading by its lease.",
    edits: [{ file: transfer, from: "  dropLease(role);\n", to: "  void dropLease;\n" }],
  },
  {
    id: "R7-lease-after-it-handed-over",
    breaks: "A leader that has told another to stand gets a lease again in the same term.",
    edits: [{ file: transfer, from: "  leader.mayLease = false;\n", to: "" }],
  },
  {
    id: "R7-hands-over-for-ever",
    breaks: "A leader that hands over to somebody who is gone never takes a proposal again.",
    edits: [
      { file: transfer, from: "if (core.now >= transfer.until) leader", to: "if (false) leader" },
    ],
  },
  {
    id: "R7-asked-too-early",
    breaks: "Who is to lead is asked to stand before it has everything, and cannot win.",
    edits: [
      {
        file: transfer,
        from: "progress === undefined || progress.promised < core.log.lastIndex",
        to: "progress === undefined",
      },
    ],
  },
  {
    id: "R15-confirmed-by-the-founders",
    breaks: "Reads are confirmed by those who were members in the beginning.",
    edits: [
      {
        file: leader,
        from: "const confirmed = reached(core.configuration, (id) =>",
        to: "const confirmed = reached(core.options.bootstrap, (id) =>",
      },
    ],
  },
  {
    id: "E8-removed-node-stands",
    breaks: "A node that is no voter stands for election.",
    edits: [
      {
        file: core,
        from: "return index > this.log.committed &&",
        to: "if (index >= 0) return true;\n    return",
      },
    ],
  },
  {
    id: "M4-leaver-never-stands",
    breaks: "Who leaves does not stand for election, though nobody else has the last step.",
    edits: [
      {
        file: core,
        from: "return index > this.log.committed &&",
        to: "return index < 0 &&",
      },
    ],
  },
  {
    id: "E9-learner-refuses-its-vote",
    breaks: "Who does not know yet that it is a voter does not vote when it is asked.",
    edits: [
      {
        file: follower,
        from: "mayVote(core, false) && isUpToDate(core, m);",
        to: "mayVote(core, false) && core.mayCampaign && isUpToDate(core, m);",
      },
    ],
  },
  {
    id: "E12-vote-in-the-same-term",
    breaks: "A restarted node refuses its vote in a new term only, not in the one that it knows.",
    edits: [
      {
        file: follower,
        from: "const isLoyal = core.now < core.noVoteBefore && !m.isTransfer;",
        to: "const isLoyal = false;",
      },
    ],
  },
];
