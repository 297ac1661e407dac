/** Planted bugs: a node that has lost its log, and what it may promise until it is certain. */
import type { Mutation } from "../mutation.ts";

const core = "src/raft/core.ts";
const doubt = "src/raft/doubt.ts";
const follower = "src/raft/follower.ts";
const leader = "src/raft/leader.ts";
const progress = "src/raft/progress.ts";

export const inDoubt: readonly Mutation[] = [
  {
    id: "M13-doubtful-acknowledges",
    breaks: "A node in doubt acknowledges entries as if it remembered everything.",
    edits: [
      {
        file: follower,
        from: 'const type = doubt === null && core.hasJoined ? "appended" : "copied";',
        to: 'const type = core.hasJoined ? "appended" : "copied";',
      },
    ],
  },
  {
    id: "M13-doubtful-votes",
    breaks: "A node in doubt votes, though it may have voted already.",
    edits: [
      {
        file: follower,
        from: "core.doubt !== null || !core.hasJoined || !mayHaveIt",
        to: "!core.hasJoined || !mayHaveIt",
      },
      {
        file: follower,
        from: "core.doubt !== null || !core.hasJoined || core.diskHangs",
        to: "!core.hasJoined || core.diskHangs",
      },
    ],
  },
  {
    id: "M13-doubtful-campaigns",
    breaks: "A node in doubt stands for election.",
    edits: [{ file: core, from: "this.doubt !== null || !this.hasJoined", to: "!this.hasJoined" }],
  },
  {
    id: "M13-doubtful-confirms-reads",
    breaks: "The answer of a node in doubt confirms a read.",
    edits: [
      {
        file: follower,
        from: "if (doubt === null && core.hasJoined) core.reply(m.from,",
        to: `if (doubt !== null) core.reply(m.from, { type: "heard", readSeq: m.readSeq });
  if (doubt === null && core.hasJoined) core.reply(m.from,`,
      },
    ],
  },
  {
    id: "M13-doubtful-commits-unverified",
    breaks: "A node in doubt commits what its leader took it to have before the loss.",
    edits: [
      {
        file: follower,
        from: "asIndex(Math.min(commit, doubt.verified))",
        to: "asIndex(Math.min(commit, log.lastIndex))",
      },
    ],
  },
  {
    id: "M13-doubt-ends-too-early",
    breaks: "A node is certain as soon as its question is in its log, though not committed.",
    edits: [
      {
        file: follower,
        from: "asked > log.committed || asked > log.durable",
        to: "asked > log.lastIndex",
      },
    ],
  },
  {
    id: "M13-doubt-ends-by-an-old-answer",
    breaks: "The answer to the question of an earlier loss ends the doubt.",
    edits: [
      {
        file: doubt,
        from: "id === this.self.id && incarnation === this.self.incarnation",
        to: "id === this.self.id",
      },
    ],
  },
  {
    id: "M13-doubt-outlives-its-entry",
    breaks: "A question that was cut off with the log counts as asked.",
    edits: [
      {
        file: doubt,
        from: "if (this.asked !== null && this.asked >= index) this.asked = null;",
        to: "void index;",
      },
    ],
  },
  {
    id: "M13-doubt-ends-before-it-is-saved",
    breaks: "A node is certain when its question is committed, though not on its own disk.",
    edits: [{ file: follower, from: " || asked > log.durable", to: "" }],
  },
  {
    id: "M13-forgotten-vote-is-given-again",
    breaks: "A node that is certain again may vote in the term of the leader that it has elected.",
    edits: [
      {
        file: follower,
        from: "  if (core.vote === null) core.setHardState(core.term, leader);\n",
        to: "",
      },
    ],
  },
  {
    id: "M13-end-of-doubt-is-told-once",
    breaks: "A leader that has missed the end of a doubt does not ask for it again.",
    edits: [
      {
        file: leader,
        from: 'progress.doubt !== null && progress.mode === "replicate"',
        to: "false",
      },
    ],
  },
  {
    id: "M13-doubtful-counts",
    breaks: "A leader counts what a node in doubt has copied.",
    edits: [
      {
        file: leader,
        from: "leader.progress.get(id)?.promised ?? 0",
        to: "leader.progress.get(id)?.matched ?? 0",
      },
    ],
  },
  {
    id: "M13-late-promise-counts-for-copies",
    breaks: "What a node said before it lost its log makes everything count that it copied since.",
    edits: [
      {
        file: progress,
        from: "if (matched > this.promised) this.promised = matched;",
        to: "this.promised = asIndex(Math.max(matched, this.matched));",
      },
    ],
  },
  {
    id: "M13-leader-does-not-forget",
    breaks: "A leader goes on counting what a follower had before it lost its log.",
    edits: [
      {
        file: progress,
        from: "    this.matched = asIndex(0);\n    this.promised = asIndex(0);\n",
        to: "",
      },
    ],
  },
  {
    id: "M8-doubt-is-always-heard",
    breaks: "Whoever is in doubt is heard and answered, though its name has had a life since.",
    edits: [
      {
        file: "src/program/members/admission.ts",
        from: "  if (wasRemoved(committed",
        to: '  if (since === null && member) return "yes";\n  if (wasRemoved(committed',
      },
    ],
    tests: ["test/program/members/admission.test.ts"],
  },
  {
    id: "M8-rescued-as-before",
    breaks: "Who is rescued alone says it is a founder, and new members read that it was removed.",
    edits: [
      {
        file: "src/program/offline/recover.ts",
        from: "const member = { id, peerUrl, incarnation, since: at, isJoining: false };",
        to: "const member = { id, peerUrl, incarnation, since: asIndex(0), isJoining: false };",
      },
    ],
    tests: ["test/program/offline/recover.test.ts", "test/integration/backup.test.ts"],
  },
  {
    id: "M12-alone-by-the-same-name",
    breaks: "Who founds alone, and again after it has lost all, founds the same cluster again.",
    edits: [
      {
        file: "src/program/members/first-start.ts",
        from: "  if (founders.size === 1) return newClusterId();\n",
        to: "",
      },
    ],
    tests: ["test/program/members/first-start.test.ts"],
  },
];
