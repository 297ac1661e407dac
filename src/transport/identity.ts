/**
 * Who speaks to whom: headers on every peer request, checked before its body is read (E15).
 *
 * Two clusters that were mixed up, two nodes of one name, or a node that lost its data directory
 * would otherwise talk to each other happily, and lose data.
 */
import { isNodeId, type NodeId } from "../raft/types.ts";
import { PROTOCOL_VERSION } from "./protocol.ts";

/** A node, as it presents itself. */
export interface Identity {
  readonly cluster: string;
  readonly id: NodeId;
  /** A random name made with the data directory, so that a lost one is noticed. */
  readonly incarnation: string;
  /** Since which entry the cluster knows this incarnation; null: the node is in doubt. */
  readonly since: number | null;
}

/** The sender of a request whose headers were in order. */
export interface Sender {
  readonly from: NodeId;
  readonly incarnation: string;
  readonly since: number | null;
}

/** Why a node does not talk to another, and the HTTP status that says so. */
export const REFUSALS = {
  PROTOCOL_MISMATCH: 400,
  BAD_HEADERS: 400,
  CLUSTER_MISMATCH: 412,
  NOT_ME: 412,
  DUPLICATE_NAME: 409,
  UNKNOWN_MEMBER: 403,
  WRONG_INCARNATION: 410,
  /** Not yet: the cluster is about to record the incarnation. */
  INCARNATION_PENDING: 503,
} as const;

export type RefusalCode = keyof typeof REFUSALS;

/** A refusal; `text` is a clause whose subject is the node that refuses. */
export interface Refusal {
  readonly code: RefusalCode;
  readonly text: string;
}

/** What a node knows about the nodes that may speak to it. */
export interface Admission {
  isMember(from: NodeId): boolean;
  /** Whether this is the incarnation that the cluster knows it by; "later": ask again. */
  admit(sender: Sender): "yes" | "no" | "later";
}

const IN_DOUBT = "doubt";

type Headers = Readonly<Record<string, string | string[] | undefined>>;

/** Whether `text` can name a cluster or an incarnation: 1–64 characters of `A–Z a–z 0–9 . _ -`. */
export function isPlainName(text: string): boolean {
  return /^[A-Za-z0-9._-]{1,64}$/.test(text);
}

/** Whether `url` can be the address of a node: the origin of an HTTP server, and no more. */
export function isPeerUrl(url: string): boolean {
  // The parser would pass over blanks and line ends, but the text goes into headers as it is.
  const parsed = /^[\x21-\x7e]+$/.test(url) ? URL.parse(url) : null;
  if (parsed === null || !/^https?:$/.test(parsed.protocol)) return false;
  return parsed.href === `${parsed.origin}/`;
}

export function isRefusalCode(text: unknown): text is RefusalCode {
  return typeof text === "string" && Object.hasOwn(REFUSALS, text);
}

/** The headers of every request from `self` to `to`. */
export function identityHeaders(self: Identity, to: NodeId): Record<string, string> {
  return {
    "quorate-protocol": PROTOCOL_VERSION,
    "quorate-cluster": self.cluster,
    "quorate-from": self.id,
    "quorate-to": to,
    "quorate-incarnation": self.incarnation,
    "quorate-since": self.since === null ? IN_DOUBT : String(self.since),
  };
}

/** The sender, or why `self` does not listen to it, whoever it is. */
export function checkAddress(self: Identity, headers: Headers): Sender | Refusal {
  const protocol = header(headers, "quorate-protocol");
  if (protocol !== PROTOCOL_VERSION) {
    const text = `speaks peer protocol ${PROTOCOL_VERSION}, not ${protocol}`;
    return { code: "PROTOCOL_MISMATCH", text };
  }
  const cluster = header(headers, "quorate-cluster");
  if (cluster !== self.cluster) {
    const text = `belongs to another cluster: ${self.cluster}, not ${cluster}`;
    return { code: "CLUSTER_MISMATCH", text };
  }
  const to = header(headers, "quorate-to");
  if (to !== self.id) return { code: "NOT_ME", text: `is ${self.id}, not ${to}` };
  const from = header(headers, "quorate-from");
  const incarnation = header(headers, "quorate-incarnation");
  const since = readSince(header(headers, "quorate-since"));
  if (!isNodeId(from) || !isPlainName(incarnation) || since === undefined) {
    return { code: "BAD_HEADERS", text: "was not told who is speaking" };
  }
  if (from === self.id) return { code: "DUPLICATE_NAME", text: `is named ${from} too` };
  return { from, incarnation, since };
}

/** Null: the sender may speak. */
export function checkMember(sender: Sender, admission: Admission): Refusal | null {
  const { from } = sender;
  if (!admission.isMember(from)) {
    return { code: "UNKNOWN_MEMBER", text: `does not know ${from} as a member` };
  }
  switch (admission.admit(sender)) {
    case "yes":
      return null;
    case "no":
      return { code: "WRONG_INCARNATION", text: `knows ${from} with another data directory` };
    case "later":
      return {
        code: "INCARNATION_PENDING",
        text: `has yet to record the data directory of ${from}`,
      };
  }
}

/** `text` as it may be shown on one line of a log: from a peer, it could hold anything. */
export function printable(text: string, charactersMax: number): string {
  return text.replace(/[^\x20-\x7e]/g, "?").slice(0, charactersMax);
}

/** Undefined: neither a place in the log nor a doubt. */
function readSince(text: string): number | null | undefined {
  if (text === IN_DOUBT) return null;
  const since = Number(text);
  return /^\d{1,16}$/.test(text) && Number.isSafeInteger(since) ? since : undefined;
}

function header(headers: Headers, name: string): string {
  const value = headers[name];
  return typeof value === "string" ? printable(value, 80) : "(none)";
}
