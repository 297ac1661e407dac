/** The call by which a leader is asked to change the members, or to hand over, as bytes. */
import { MalformedError } from "../lib/bytes.ts";
import type { ChangeProblem, MemberChange } from "../raft/change.ts";
import { MEMBERS_MAX } from "../raft/membership.ts";
import type { ChangeRefusal, ChangeTaken } from "../raft/reconfigure.ts";
import type { TransferRefusal } from "../raft/transfer.ts";
import { asIndex, asTerm, isNodeId, type NodeId } from "../raft/types.ts";
import { isPeerUrl, isPlainName } from "./identity.ts";
import { type MsgpackReader, type Packable, seal, unseal } from "./msgpack.ts";

export type MemberQuestion =
  | { readonly type: "change"; readonly changes: readonly MemberChange[] }
  /** Null: to whoever is furthest. */
  | { readonly type: "transfer"; readonly target: NodeId | null };

export type MemberReply =
  | { readonly type: "changed"; readonly result: ChangeTaken | ChangeRefusal }
  | { readonly type: "transferred"; readonly result: Transferring | TransferRefusal };

interface Transferring {
  readonly target: NodeId;
}

const CHANGES: readonly MemberChange["type"][] = ["add", "promote", "demote", "remove", "move"];
const REFUSED: readonly ChangeRefusal["refused"][] = [
  "not_leader",
  "not_ready",
  "in_progress",
  "behind",
  "unsafe",
  "problem",
];
const PROBLEMS: readonly ChangeProblem["problem"][] = [
  "exists",
  "url_taken",
  "unknown",
  "not_learner",
  "not_voter",
  "named_twice",
  "no_voters",
  "too_many",
];
const NOT_TRANSFERRED: readonly TransferRefusal[] = ["not_leader", "in_progress", "no_target"];
const YES = 0;
const NO = 1;
const CHANGE = 0;
const TRANSFER = 1;

export function encodeMemberQuestion(question: MemberQuestion): Uint8Array {
  if (question.type === "transfer") return seal([TRANSFER, question.target]);
  return seal([CHANGE, question.changes.map(changeTuple)]);
}

function changeTuple(change: MemberChange): Packable {
  const kind = CHANGES.indexOf(change.type);
  switch (change.type) {
    case "add":
      return [kind, change.id, change.peerUrl, change.incarnation, change.isJoining];
    case "move":
      return [kind, change.id, change.peerUrl, "", false];
    case "promote":
    case "demote":
    case "remove":
      return [kind, change.id, "", "", false];
  }
}

/** Throws MalformedError, as all that follow. */
export function decodeMemberQuestion(body: Uint8Array): MemberQuestion {
  const reader = unseal(body);
  reader.tuple(2);
  const kind = reader.uint();
  if (kind !== CHANGE && kind !== TRANSFER) throw new MalformedError("an unknown question");
  const question: MemberQuestion =
    kind === TRANSFER
      ? { type: "transfer", target: reader.nullable(() => readNode(reader)) }
      : { type: "change", changes: readList(reader, () => readChange(reader)) };
  reader.end();
  return question;
}

function readChange(reader: MsgpackReader): MemberChange {
  reader.tuple(5);
  const type = nameOf(CHANGES, reader.uint());
  const id = readNode(reader);
  const peerUrl = reader.text();
  const incarnation = reader.text();
  const isJoining = reader.bool();
  const needsUrl = type === "add" || type === "move";
  if (needsUrl && !isPeerUrl(peerUrl)) throw new MalformedError("not a URL");
  if (incarnation !== "" && !isPlainName(incarnation)) throw new MalformedError("not a name");
  if (type === "add") return { type, id, peerUrl, incarnation, isJoining };
  return type === "move" ? { type, id, peerUrl } : { type, id };
}

export function encodeMemberReply(reply: MemberReply): Uint8Array {
  if (reply.type === "transferred") return seal([TRANSFER, ...transferFields(reply.result)]);
  const { result } = reply;
  if (!("refused" in result)) return seal([CHANGE, YES, [result.index, result.term]]);
  return seal([CHANGE, NO, [REFUSED.indexOf(result.refused), ...refusalFields(result)]]);
}

function transferFields(result: Transferring | TransferRefusal): Packable[] {
  if (typeof result === "string") return [NO, NOT_TRANSFERRED.indexOf(result)];
  return [YES, result.target];
}

/** Which problem, and whom it is about. */
function refusalFields(refusal: ChangeRefusal): Packable[] {
  switch (refusal.refused) {
    case "problem":
      return [PROBLEMS.indexOf(refusal.problem), refusal.id === null ? [] : [refusal.id]];
    case "behind":
    case "unsafe":
      return [0, refusal.ids];
    case "not_leader":
    case "not_ready":
    case "in_progress":
      return [0, []];
  }
}

export function decodeMemberReply(body: Uint8Array): MemberReply {
  const reader = unseal(body);
  reader.tuple(3);
  const kind = reader.uint();
  const verdict = reader.uint();
  const isKnown = (kind === CHANGE || kind === TRANSFER) && (verdict === YES || verdict === NO);
  if (!isKnown) throw new MalformedError("an unknown answer");
  const reply: MemberReply =
    kind === TRANSFER
      ? { type: "transferred", result: readTransfer(reader, verdict) }
      : { type: "changed", result: readResult(reader, verdict) };
  reader.end();
  return reply;
}

function readTransfer(reader: MsgpackReader, verdict: number): Transferring | TransferRefusal {
  return verdict === YES ? { target: readNode(reader) } : nameOf(NOT_TRANSFERRED, reader.uint());
}

function readResult(reader: MsgpackReader, verdict: number): ChangeTaken | ChangeRefusal {
  if (verdict === YES) {
    reader.tuple(2);
    return { index: asIndex(reader.uint()), term: asTerm(reader.uint()) };
  }
  reader.tuple(3);
  const refused = nameOf(REFUSED, reader.uint());
  const problem = nameOf(PROBLEMS, reader.uint());
  const ids = readList(reader, () => readNode(reader));
  if (refused === "problem") return { refused, problem, id: ids[0] ?? null };
  return refused === "behind" || refused === "unsafe" ? { refused, ids } : { refused };
}

function readList<T>(reader: MsgpackReader, read: () => T): T[] {
  const count = reader.array();
  if (count > MEMBERS_MAX) throw new MalformedError("too many");
  return Array.from({ length: count }, read);
}

function readNode(reader: MsgpackReader): NodeId {
  const text = reader.text();
  if (!isNodeId(text)) throw new MalformedError("not the name of a node");
  return text;
}

function nameOf<T>(names: readonly T[], at: number): T {
  const name = names[at];
  if (name === undefined) throw new MalformedError("an unknown word");
  return name;
}
