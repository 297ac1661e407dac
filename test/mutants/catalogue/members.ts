/** Planted bugs: who the members are, and how that changes. */
import type { Mutation } from "../mutation.ts";

const change = "src/raft/change.ts";
const core = "src/raft/core.ts";
const history = "src/raft/configuration-history.ts";
const leader = "src/raft/leader.ts";
const progress = "src/raft/progress.ts";
const quorum = "src/raft/quorum.ts";
const raft = "src/raft/raft.ts";
const reconfigure = "src/raft/reconfigure.ts";

export const members: readonly Mutation[] = [
  {
    id: "M1-before-an-own-commit",
    breaks: "A new leader changes members before it has committed an entry of its own.",
    edits: [
      {
        file: reconfigure,
        from: '  if (!hasCommittedOwn(core)) return { refused: "not_ready" };\n',
        to: "",
      },
    ],
  },
  {
    id: "M1-voters-change-at-once",
    breaks: "Voters change in one step, so that old and new ones can decide without each other.",
    edits: [
      { file: change, from: "if (isSame) return target;", to: "void isSame;\n  return target;" },
    ],
  },
  {
    id: "M2-two-changes-at-once",
    breaks: "A change begins while another one is not committed.",
    edits: [
      {
        file: reconfigure,
        from: '  if (!isSettled(core)) return { refused: "in_progress" };\n',
        to: "  void isSettled;\n",
      },
    ],
  },
  {
    id: "M3-only-who-began-ends-it",
    breaks: "A change whose leader is lost in the middle of it never ends.",
    edits: [
      {
        file: reconfigure,
        from: "if (isJoint(core.configuration)) {",
        to: `const isMine = core.log.termAt(core.configurations.index) === core.term;
  if (isJoint(core.configuration) && isMine) {`,
      },
    ],
  },
  {
    id: "M3-lost-change-is-called-done",
    breaks: "A change that was lost with its leader is answered as done.",
    edits: [
      {
        file: "src/node/node.ts",
        from: 'return found === term ? "committed" : "lost";',
        to: 'return "committed";',
      },
    ],
    tests: ["test/service/members.test.ts"],
  },
  {
    id: "M4-leaver-calls-all-done",
    breaks: "A node that was removed answers every change as done that it had asked for.",
    edits: [
      {
        file: "src/service/members.ts",
        from: 'return fate === "committed" ? "through" : "untold";',
        to: 'return "through";',
      },
    ],
    tests: ["test/service/members.test.ts"],
  },
  {
    id: "M4-leaver-counts-itself",
    breaks: "A leader that is to leave counts itself for a commit.",
    edits: [
      {
        file: leader,
        from: "const index = reached(core.configuration, (id) =>",
        to: `const { voters, outgoing } = core.configuration;
  const all = { voters: [...new Set([...voters, core.id])], outgoing };
  const index = reached(all, (id) =>`,
      },
    ],
  },
  {
    id: "M4-leaver-leads-on",
    breaks: "A leader that was removed goes on leading.",
    edits: [
      {
        file: reconfigure,
        from: "  if (!isVoter(core.configuration, core.id)) return handOver(core, leader);\n",
        to: "",
      },
    ],
  },
  {
    id: "M4-leaves-too-early",
    breaks: "A leader that is to leave does so before anybody else has the last step.",
    edits: [
      {
        file: reconfigure,
        from: "return enter(core, leader, lastStep(core.configuration));",
        to: `{
    enter(core, leader, lastStep(core.configuration));
    return isVoter(core.configuration, core.id) ? undefined : handOver(core, leader);
  }`,
      },
    ],
  },
  {
    id: "M5-cut-off-and-in-force",
    breaks: "A configuration stays in force though its entry was cut off.",
    edits: [
      { file: core, from: "    this.configurations.truncateFrom(asIndex(index));\n", to: "" },
      // The assert that stands guard against just this.
      {
        file: history,
        from: "assert(index > this.last().index, () =>",
        to: "assert(index > 0, () =>",
      },
    ],
  },
  {
    id: "M6-installed-without-the-change",
    breaks: "Who gets a snapshot from the middle of a change believes that the change is through.",
    edits: [
      {
        file: history,
        from: "configuration: meta.configuration }];",
        to: "configuration: { ...meta.configuration, outgoing: [] } }];",
      },
    ],
  },
  {
    id: "M6-snapshot-of-what-is-to-come",
    breaks: "A snapshot carries a configuration that was not committed where it ends.",
    edits: [
      {
        file: raft,
        from: "configuration: inForce.configuration };",
        to: "configuration: configurations.current };",
      },
    ],
  },
  {
    id: "M6-begins-as-founded",
    breaks: "A node that begins with a snapshot believes in the founders.",
    edits: [
      {
        file: core,
        from: "saved.snapshot?.configuration ?? options.bootstrap,",
        to: "options.bootstrap,",
      },
    ],
  },
  {
    id: "M7-new-ones-decide-alone",
    breaks: "In the middle of a change the new members decide without the old ones.",
    edits: [
      {
        file: quorum,
        from: "Math.min(reachedBy(config.voters, value), reachedBy(config.outgoing, value))",
        to: "reachedBy(config.voters, value)",
      },
      {
        file: quorum,
        from: "[tallyOf(config.voters, votes), tallyOf(config.outgoing, votes)];",
        to: "[tallyOf(config.voters, votes)];",
      },
    ],
  },
  {
    id: "M7-demoted-decides-no-more",
    breaks: "A voter that becomes a learner is none of the old members any more.",
    edits: [
      {
        file: change,
        from: "outgoing: config.voters,",
        to: "outgoing: config.voters.filter((id) => !target.learners.includes(id)),",
      },
    ],
  },
  {
    id: "M8-next-life-inherits",
    breaks: "What was known of a name's earlier directory is believed of its new one.",
    edits: [
      { file: reconfigure, from: "isSameLife ? before.get(id) : undefined", to: "before.get(id)" },
      { file: reconfigure, from: "const isSameLife = memberOf", to: "void memberOf" },
    ],
  },
  {
    id: "M8-earlier-life-is-taken-for-the-next",
    breaks: "A message to an earlier life of a name reaches the next.",
    edits: [
      {
        file: "src/transport/identity.ts",
        from: "if (toLife !== undefined && toLife !== String(self.life)) {",
        to: "if (toLife === null) {",
      },
    ],
    tests: ["test/transport/refusals.test.ts"],
  },
  {
    id: "M8-earlier-life-is-spoken-to",
    breaks: "What is meant for a member is addressed to an earlier life of its name.",
    edits: [
      {
        file: "src/program/members/directory.ts",
        from: "this.#lives.set(id, Math.max(life, this.#lives.get(id) ?? 0));",
        to: "this.#lives.set(id, Math.min(life, this.#lives.get(id) ?? life));",
      },
    ],
    tests: ["test/program/members/directory.test.ts"],
  },
  {
    id: "M8-earlier-life-goes-on",
    breaks: "A node that was removed counts as a member when its name is used again.",
    edits: [
      {
        file: reconfigure,
        from: "return life.since < member.since;",
        to: "return false;",
      },
    ],
  },
  {
    id: "M8-decides-before-it-has-joined",
    breaks: "A new machine decides by what the log says of an earlier one of its name.",
    edits: [
      {
        file: core,
        from: "return since <= (snapshot?.index ?? 0) ||",
        to: "return since >= 0 ||",
      },
    ],
  },
  {
    id: "M9-votes-though-behind",
    breaks: "A node that lacks most of the log becomes a voter, and commits wait for it.",
    edits: [{ file: reconfigure, from: "if (behind.length > 0) return", to: "if (false) return" }],
  },
  {
    id: "M9-votes-though-silent",
    breaks:
      "A node that is not there becomes a voter, as it had everything when it was last heard.",
    edits: [
      {
        file: reconfigure,
        from: "keepsUp(leader, id) && isPresent(core, leader, id);\n  const behind",
        to: "keepsUp(leader, id);\n  const behind",
      },
    ],
  },
  {
    id: "M9-any-round-will-do",
    breaks: "A node keeps up with the log, however long it takes.",
    edits: [
      {
        file: progress,
        from: "this.keepsUp = isOver && took <= limitMs;",
        to: "this.keepsUp = isOver;",
      },
    ],
  },
  {
    id: "M10-majority-is-away",
    breaks: "Members are removed though those who are left are no majority.",
    edits: [
      {
        file: reconfigure,
        from: "count - missing.length < majority(count)",
        to: "majority(count) < 1",
      },
    ],
  },
  {
    id: "M10-last-voter-goes",
    breaks: "All voters can be removed.",
    edits: [
      {
        file: change,
        from: '  if (next.voters.length === 0) return { problem: "no_voters", id: null };\n',
        to: "",
      },
    ],
  },
  {
    id: "M10-leaver-without-a-part",
    breaks:
      "A learner that leaves together with a voter makes a configuration that nobody can read.",
    edits: [
      { file: change, from: "isVoter(config, member.id) && isGone(member)", to: "isGone(member)" },
    ],
  },
  {
    id: "M10-no-room-on-the-way",
    breaks: "The members of a change, with those who leave, are more than can be read.",
    edits: [
      {
        file: change,
        from: "const most = firstStep(config, next).members.length;",
        to: "const most = next.members.length;",
      },
    ],
  },
];
