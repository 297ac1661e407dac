/** Changes of the members as they are asked for, made of texts that may be wrong. */
import type { MemberChange } from "../raft/change.ts";
import { isNodeId, NODE_ID, type NodeId } from "../raft/types.ts";
import { isPeerUrl, isPlainName, PLAIN_NAME } from "../transport/identity.ts";
import { ServiceError } from "./errors.ts";

/** Longer names of hosts there are none; and each member's stands in the log, on every node. */
const URL_CHARS_MAX = 300;

/** What the texts look like, for whoever describes them. */
export const PATTERNS = { member: NODE_ID, incarnation: PLAIN_NAME } as const;

/** A member to be. */
export interface NewMember {
  readonly name: string;
  readonly peerUrl: string;
  /** A voter is a learner until it has caught up. */
  readonly role: "voter" | "learner";
  /** Of its data directory; null: of whichever joins first under this name. */
  readonly incarnation: string | null;
}

/** Throws ServiceError INVALID_PARAM, as all that follow. */
export function addChange({ name, peerUrl, role, incarnation }: NewMember): MemberChange {
  if (incarnation !== null && !isPlainName(incarnation)) {
    throw wrong('"incarnation" must be 1 to 64 characters of A-Z a-z 0-9 . _ -');
  }
  return {
    type: "add",
    id: memberName(name),
    peerUrl: urlIn(peerUrl),
    incarnation: incarnation ?? "",
    isJoining: role === "voter",
  };
}

export function namedChange(type: "promote" | "demote" | "remove", name: string): MemberChange {
  return { type, id: memberName(name) };
}

export function moveChange(name: string, peerUrl: string): MemberChange {
  return { type: "move", id: memberName(name), peerUrl: urlIn(peerUrl) };
}

/** The name of a member. */
export function memberName(text: string): NodeId {
  if (isNodeId(text)) return text;
  throw wrong("the name of a member has 1 to 64 characters of A-Z a-z 0-9 . _ -");
}

/** As URLs write it, so that equal ones are equal as text. */
function urlIn(text: string): string {
  const isOne = text.length <= URL_CHARS_MAX && isPeerUrl(text);
  if (isOne) return new URL(text).origin;
  throw wrong('"peer_url" must be a URL without a path, such as http://10.0.0.4:5001');
}

function wrong(text: string): ServiceError {
  return new ServiceError("INVALID_PARAM", text);
}
