/** Questions about members and their answers, one of each kind: for the codec's tests. */
import type { ChangeProblem } from "../../src/raft/change.ts";
import type { ChangeRefusal } from "../../src/raft/reconfigure.ts";
import type { TransferRefusal } from "../../src/raft/transfer.ts";
import type { Index, NodeId, Term } from "../../src/raft/types.ts";
import type { MemberQuestion, MemberReply } from "../../src/transport/member-codec.ts";

const n4 = "n4" as NodeId;
const n5 = "n5" as NodeId;
const peerUrl = "http://10.0.0.4:5001";

export const memberQuestions: readonly MemberQuestion[] = [
  { type: "transfer", target: null },
  { type: "transfer", target: n4 },
  { type: "change", changes: [] },
  {
    type: "change",
    changes: [
      { type: "add", id: n4, peerUrl, incarnation: "", isJoining: true },
      { type: "add", id: n5, peerUrl: "http://[::1]:5001", incarnation: "ab12", isJoining: false },
      { type: "promote", id: "n1" as NodeId },
      { type: "demote", id: "n2" as NodeId },
      { type: "remove", id: "n3" as NodeId },
      { type: "move", id: "n6" as NodeId, peerUrl: "https://n6.test" },
    ],
  },
];

const transferRefusals: readonly TransferRefusal[] = ["not_leader", "in_progress", "no_target"];
const plain: readonly ("not_leader" | "not_ready" | "in_progress")[] = [
  "not_leader",
  "not_ready",
  "in_progress",
];
const problems: readonly ChangeProblem["problem"][] = [
  "exists",
  "url_taken",
  "unknown",
  "not_learner",
  "not_voter",
  "named_twice",
  "no_voters",
  "too_many",
];
const refusals: readonly ChangeRefusal[] = [
  ...plain.map((refused) => ({ refused })),
  { refused: "behind", ids: [n4] },
  { refused: "unsafe", ids: [n4, n5] },
  { refused: "unsafe", ids: [] },
  ...problems.flatMap((problem) => [
    { refused: "problem" as const, problem, id: n4 },
    { refused: "problem" as const, problem, id: null },
  ]),
];

export const memberReplies: readonly MemberReply[] = [
  { type: "changed", result: { index: (2 ** 53 - 1) as Index, term: 7 as Term } },
  ...refusals.map((result) => ({ type: "changed" as const, result })),
  { type: "transferred", result: { target: n4 } },
  ...transferRefusals.map((result) => ({ type: "transferred" as const, result })),
];
