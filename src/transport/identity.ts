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
  /**
   * Which entry made it a member, 0 for a founder: a name that was removed can be used again, and
   * what is meant for one life of it must not reach the next (M8).
   */
  readonly life: number;
  /** Where others answer it, who may not have heard yet that it is a member. */
  readonly peerUrl: string;
}

/** The sender of a request whose headers were in order. */
export interface Sender {
  readonly from: NodeId;
  readonly incarnation: string;
  readonly since: number | null;
  readonly life: number;
  readonly peerUrl: string;
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
  /** It was a member, and is none any more, for ever. */
  REMOVED: 410,
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
  /**
   * Whether to listen. `stranger`: it never was a member. `removed`: it is none any more. `no`: its
   * name belongs to another data directory. `later`: ask again.
   */
  admit(sender: Sender): "yes" | "stranger" | "removed" | "no" | "later";
}

const IN_DOUBT = "doubt";

type Headers = Readonly<Record<string, string | string[] | undefined>>;

/** The names of clusters and incarnations. */
export const PLAIN_NAME = /^[A-Za-z0-9._-]{1,64}$/;

/** Whether `text` can name a cluster or an incarnation: 1–64 characters of `A–Z a–z 0–9 . _ -`. */
export function isPlainName(text: string): boolean {
  return PLAIN_NAME.test(text);
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

/** The headers of every request from `self` to a life of `to`; null: whichever it is. */
export function identityHeaders(
  self: Identity,
  to: NodeId,
  toLife: number | null,
): Record<string, string> {
  return {
    ...(toLife !== null && { "quorate-to-life": String(toLife) }),
    "quorate-life": String(self.life),
    "quorate-protocol": PROTOCOL_VERSION,
    "quorate-cluster": self.cluster,
    "quorate-from": self.id,
    "quorate-to": to,
    "quorate-incarnation": self.incarnation,
    "quorate-since": self.since === null ? IN_DOUBT : String(self.since),
    "quorate-peer-url": self.peerUrl,
  };
}

/** The sender, or why `self` does not listen to it, whoever it is. */
export function checkAddress(self: Identity, headers: Headers): Sender | Refusal {
  const protocol = header(headers, "quorate-protocol");
  if (protocol !== PROTOCOL_VERSION) {
    const versions = `${PROTOCOL_VERSION}, not ${protocol}`;
    const text = `speaks peer protocol ${versions}: upgrade the older node`;
    return { code: "PROTOCOL_MISMATCH", text };
  }
  const cluster = header(headers, "quorate-cluster");
  if (cluster !== self.cluster) {
    const text = `belongs to another cluster: ${self.cluster}, not ${cluster}`;
    return { code: "CLUSTER_MISMATCH", text };
  }
  const to = header(headers, "quorate-to");
  if (to !== self.id) return { code: "NOT_ME", text: `is ${self.id}, not ${to}` };
  const toLife = headers["quorate-to-life"];
  if (toLife !== undefined && toLife !== String(self.life)) {
    return { code: "NOT_ME", text: `is another ${self.id} than the one that was spoken to` };
  }
  const from = header(headers, "quorate-from");
  const incarnation = header(headers, "quorate-incarnation");
  const since = readSince(header(headers, "quorate-since"));
  const life = readPlace(header(headers, "quorate-life"));
  const peerUrl = header(headers, "quorate-peer-url");
  const isNamed = isNodeId(from) && isPlainName(incarnation);
  if (!isNamed || since === undefined || life === undefined || !isPeerUrl(peerUrl)) {
    return { code: "BAD_HEADERS", text: "was not told who is speaking" };
  }
  if (from === self.id) return { code: "DUPLICATE_NAME", text: `is named ${from} too` };
  return { from, incarnation, since, life, peerUrl };
}

/** Which other cluster the sender is of, that means this node by its name; null: it does not. */
export function clusterOfMistaken(self: Identity, headers: Headers): string | null {
  const cluster = header(headers, "quorate-cluster");
  const isMeant = header(headers, "quorate-to") === self.id;
  return isMeant && isPlainName(cluster) && cluster !== self.cluster ? cluster : null;
}

/** Null: the sender may speak. */
export function checkMember(sender: Sender, admission: Admission): Refusal | null {
  const { from } = sender;
  switch (admission.admit(sender)) {
    case "yes":
      return null;
    case "stranger":
      return { code: "UNKNOWN_MEMBER", text: `does not know ${from} as a member` };
    case "removed":
      return { code: "REMOVED", text: `knows that ${from} was removed from the cluster` };
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
  return text === IN_DOUBT ? null : readPlace(text);
}

function readPlace(text: string): number | undefined {
  const place = Number(text);
  return /^\d{1,16}$/.test(text) && Number.isSafeInteger(place) ? place : undefined;
}

function header(headers: Headers, name: string): string {
  const value = headers[name];
  return typeof value === "string" ? printable(value, 80) : "(none)";
}
