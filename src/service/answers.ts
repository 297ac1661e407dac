/** What a node answers to the nodes that forward their writes to it and read through it. */
import { decodeCommand } from "../kv/command.ts";
import type { RaftNode } from "../node/node.ts";
import type { Refusal } from "../raft/message.ts";
import { asIndex, type NodeId } from "../raft/types.ts";
import type { CallRefused, ForwardReply, ReadIndexReply } from "../transport/call-codec.ts";

/** The node that is asked. */
export type AskedNode = Pick<RaftNode<unknown>, "submit" | "awaitCommit" | "readIndex" | "status">;

/** Proposals that the clients of another node wait for. */
export interface ForwardedProposals {
  readonly from: NodeId;
  readonly proposals: readonly Uint8Array[];
}

/**
 * Puts another node's proposals into the log, all or none, and answers as soon as they have their
 * places there: whether they are committed shows everywhere. Never forwards them further.
 * Rejects with MalformedError if one of them is no command that this version can apply (U4): once
 * committed, it would stop every node.
 */
export async function acceptForward(
  node: AskedNode,
  { from, proposals }: ForwardedProposals,
): Promise<ForwardReply> {
  for (const proposal of proposals) decodeCommand(proposal);
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

/** Answers when a quorum has confirmed this node as leader, or it has ceased to be one. */
export function acceptReadIndex(node: AskedNode): Promise<ReadIndexReply> {
  return new Promise((resolve) => {
    node.readIndex((index) => {
      if (index === null) return resolve(refused(node, "not_leader"));
      resolve({ type: "confirmed", term: node.status().term, index });
    });
  });
}

function refused(node: AskedNode, reason: Refusal): CallRefused {
  const { leader, term } = node.status();
  return { type: "refused", reason, leader, term };
}
