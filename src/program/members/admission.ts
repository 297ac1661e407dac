/** Who may speak to this node: members, and nodes that may be members without its notice. */
import type { PeerBook } from "../../node/identity.ts";
import type { RaftNode } from "../../node/node.ts";
import { memberOf } from "../../raft/membership.ts";
import { wasRemoved } from "../../raft/reconfigure.ts";
import { asIndex, type NodeId } from "../../raft/types.ts";
import type { Admission, Sender } from "../../transport/identity.ts";

export interface AdmissionDeps {
  readonly node: Pick<RaftNode<unknown>, "inForce" | "committedMembers">;
  readonly book: Pick<PeerBook, "admit">;
  /** Where to answer it, and which life of it, whatever the configuration says. */
  meet(sender: Sender): void;
  /** It was heard, under this incarnation. */
  note(id: NodeId, incarnation: string): void;
}

/** What the peer listener asks about everybody who speaks to it. */
export function admission(deps: AdmissionDeps): Admission {
  return {
    admit(sender) {
      const verdict = judge(deps, sender);
      if (verdict !== "yes") return verdict;
      const { from, incarnation } = sender;
      const answer = deps.book.admit(from, sender);
      if (answer === "no") return answer;
      deps.meet(sender);
      if (answer === "yes") deps.note(from, incarnation);
      return answer;
    },
  };
}

/**
 * A member that was added lately may lead already, and this node not know it yet, which it will
 * never do if it does not listen (§6 of the paper). So only those are turned away that certainly
 * are no members any more, and those that never were.
 */
function judge({ node }: AdmissionDeps, { from, incarnation, since, life }: Sender) {
  const committed = node.committedMembers();
  // A leader that removes itself leads until it knows that its removal is committed.
  const member =
    memberOf(node.inForce().configuration, from) ?? memberOf(committed.configuration, from);
  if (wasRemoved(committed, { id: from, since: asIndex(life) })) return "removed";
  if (member === undefined) return life > committed.index ? "yes" : "stranger";
  // The one it was taken in with, unless it has ended a doubt since then, or is in one.
  const isFirst = since === member.since && member.incarnation !== "";
  return isFirst && incarnation !== member.incarnation ? "no" : "yes";
}
