/** What a node answers to the nodes that forward their writes to it and read through it. */
import { decodeCommand } from "../kv/command.ts";
import type { RaftNode, ReadProof } from "../node/node.ts";
import { isStaying } from "../raft/membership.ts";
import type { Refusal } from "../raft/message.ts";
import { asIndex, type NodeId } from "../raft/types.ts";
import type { CallRefused, ForwardReply, ReadIndexReply } from "../transport/call-codec.ts";
import type { MemberQuestion, MemberReply } from "../transport/member-codec.ts";

/** The node that is asked. */
export type AskedNode = Pick<
  RaftNode<unknown>,
  "submit" | "awaitCommit" | "readIndex" | "status" | "change" | "transfer"
>;

/** Proposals that the clients of another node wait for. */
export interface ForwardedProposals {
  readonly from: NodeId;
  readonly proposals: readonly Uint8Array[];
}

/**
 * Puts another node's proposals into the log, all or none, and answers as soon as they have their
 * places there: whether they are committed shows everywhere. Never forwards them further. Takes
 * nothing from a node that leaves: it may not be told what becomes of it.
 * Rejects with MalformedError if one of them is no command that this version can apply (U4): once
 * committed, it would stop every node.
 */
export async function acceptForward(
  node: AskedNode,
  { from, proposals }: ForwardedProposals,
): Promise<ForwardReply> {
  for (const proposal of proposals) decodeCommand(proposal);
  if (!isStaying(node.status().configuration, from)) return refused(node, "not_leader");
  return new Promise((resolve) => {
    node.submit(proposals, (first) => {
      if (typeof first === "string") return resolve(refused(node, first));
      const { index, term } = first;
      node.awaitCommit(from, asIndex(index + proposals.length - 1));
      const positions = proposals.map((_, at) => ({ index: asIndex(index + at), term }));
      resolve({ type: "taken", term, positions });
    });
  });
}

/**
 * Answers when a quorum has confirmed this node as leader, or it has ceased to be one; by a lease
 * where that will do and this node has one.
 */
export function acceptRead(node: AskedNode, wanted: ReadProof): Promise<ReadIndexReply> {
  return new Promise((resolve) => {
    node.readIndex((index, proof) => {
      if (index === null) return resolve(refused(node, "not_leader"));
      const { term } = node.status();
      resolve({ type: "confirmed", term, index, byLease: proof === "lease" });
    }, wanted);
  });
}

/** What another node asks about members, for its own clients. */
export interface AskedMembers {
  readonly from: NodeId;
  readonly question: MemberQuestion;
}

/**
 * Answers as soon as it is clear whether this node leads and begins what is asked. Whoever asks is
 * told of the commit, also where it leaves by that very change.
 */
export function acceptMembers(
  node: Pick<AskedNode, "change" | "transfer" | "awaitCommit">,
  { from, question }: AskedMembers,
): Promise<MemberReply> {
  return new Promise((resolve) => {
    if (question.type === "change") {
      node.change(question.changes, (result) => {
        if (!("refused" in result)) node.awaitCommit(from, result.index);
        resolve({ type: "changed", result });
      });
    } else {
      node.transfer(question.target, (result) => resolve({ type: "transferred", result }));
    }
  });
}

function refused(node: AskedNode, reason: Refusal): CallRefused {
  const { leader, term } = node.status();
  return { type: "refused", reason, leader, term };
}
