/**
 * How scripts write what Raft says: `index@term` for places in the log, `n1@3→n2 append …` for a
 * message of term 3. An entry is `4@2` (a no-op), `4@2:a` (a command) or `4@2:{n1,n2}` (a
 * configuration; `{n1,n2|n2,n3+n4}` is in the middle of a change and has the learner n4), or
 * `4@2:n3?x` (n3, in doubt, asks under its incarnation x).
 */
import { byteString, bytesOf } from "../../src/lib/bytes.ts";
import { type Entry, makeEntry } from "../../src/raft/entry.ts";
import type { MemberChange } from "../../src/raft/change.ts";
import {
  configurationOf,
  decodeConfiguration,
  encodeConfiguration,
} from "../../src/raft/membership.ts";
import type { Body, Message } from "../../src/raft/message.ts";
import type { ChangeRefusal } from "../../src/raft/reconfigure.ts";
import { decodeRejoin, encodeRejoin } from "../../src/raft/rejoin.ts";
import {
  asIndex,
  asTerm,
  type ClusterTime,
  type Configuration,
  type NodeId,
  type Position,
} from "../../src/raft/types.ts";

/** Entries written in a script are this far apart in cluster time. */
const ENTRY_MS = 1000;

export type Fields = ReadonlyMap<string, string>;

/** Splits at `separator`, but not inside braces. */
export function splitOutside(text: string, separator: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let part = "";
  for (const char of text) {
    if (char === "{") depth += 1;
    if (char === "}") depth -= 1;
    if (char === separator && depth === 0) {
      parts.push(part);
      part = "";
    } else {
      part += char;
    }
  }
  parts.push(part);
  return parts.filter((item) => item !== "");
}

export function parseNodes(text: string): readonly NodeId[] {
  return splitOutside(text, ",") as NodeId[];
}

export function parseConfiguration(text: string): Configuration {
  const match = /^\{([^|+}]*)(?:\|([^+}]*))?(?:\+([^}]*))?\}$/.exec(text);
  if (match === null) throw new Error(`not a configuration: ${text}`);
  const [, voters = "", outgoing = "", learners = ""] = match;
  return configurationOf({
    voters: parseNodes(voters),
    outgoing: parseNodes(outgoing),
    learners: parseNodes(learners),
  });
}

export function showConfiguration(config: Configuration): string {
  const outgoing = config.outgoing.length > 0 ? `|${config.outgoing.join()}` : "";
  const learners = config.learners.length > 0 ? `+${config.learners.join()}` : "";
  return `{${config.voters.join()}${outgoing}${learners}}`;
}

/** `+n4` adds a learner, `++n4` one that joins, `^n4` promotes, `_n4` demotes, `-n4` removes. */
export function parseChange(text: string): MemberChange {
  const match = /^(\+\+|[+^_-])([^@]+)(?:@(.*))?$/.exec(text);
  if (match === null) throw new Error(`not a change: ${text}`);
  const [, sign, name = "", incarnation = ""] = match;
  const id = name as NodeId;
  if (sign === "^") return { type: "promote", id };
  if (sign === "_") return { type: "demote", id };
  if (sign === "-") return { type: "remove", id };
  return { type: "add", id, peerUrl: "", incarnation, isJoining: sign === "++" };
}

export function showRefusal(refusal: ChangeRefusal): string {
  if (refusal.refused === "problem") return `${refusal.problem} ${refusal.id ?? ""}`.trimEnd();
  return "ids" in refusal ? `${refusal.refused} ${refusal.ids.join()}` : refusal.refused;
}

export function parsePosition(text: string): Position {
  const match = /^(\d+)@(\d+)$/.exec(text);
  if (match === null) throw new Error(`not a place in the log: ${text}`);
  return { index: asIndex(Number(match[1])), term: asTerm(Number(match[2])) };
}

export function showPosition(position: Position): string {
  return `${position.index}@${position.term}`;
}

export function parseEntry(text: string): Entry {
  const colon = text.indexOf(":");
  const place = parsePosition(colon < 0 ? text : text.slice(0, colon));
  const time = (place.index * ENTRY_MS) as ClusterTime;
  if (colon < 0) return makeEntry({ ...place, time, kind: "noop", data: new Uint8Array(0) });
  const content = text.slice(colon + 1);
  if (content.includes("?")) {
    const [id = "", incarnation = ""] = content.split("?");
    const data = encodeRejoin({ id: id as NodeId, incarnation });
    return makeEntry({ ...place, time, kind: "rejoin", data });
  }
  if (!content.startsWith("{")) {
    return makeEntry({ ...place, time, kind: "command", data: bytesOf(content) });
  }
  const data = encodeConfiguration(parseConfiguration(content));
  return makeEntry({ ...place, time, kind: "config", data });
}

export function parseEntries(text: string): readonly Entry[] {
  return splitOutside(text, ",").map(parseEntry);
}

export function showEntries(entries: readonly Entry[]): string {
  return entries.map((entry) => showPosition(entry) + showContent(entry)).join();
}

/** What is after the place: nothing, `:` and a command's text, or `:` and a configuration. */
export function showContent(entry: Entry): string {
  switch (entry.kind) {
    case "noop":
      return "";
    case "command":
      return `:${byteString(entry.data)}`;
    case "config":
      return `:${showConfiguration(decodeConfiguration(entry.data))}`;
    case "rejoin": {
      const { id, incarnation } = decodeRejoin(entry.data);
      return `:${id}?${incarnation}`;
    }
  }
}

export function showMessage(m: Message): string {
  return `${m.from}@${m.term}→${m.to} ${m.type}${showBody(m)}`;
}

function showBody(m: Body): string {
  switch (m.type) {
    case "prevote":
      return ` round=${m.round} last=${m.lastIndex}@${m.lastTerm}`;
    case "prevoted":
      return ` round=${m.round} ${m.granted ? "yes" : "no"}`;
    case "vote":
      return ` last=${m.lastIndex}@${m.lastTerm}${m.isTransfer ? " transfer" : ""}`;
    case "voted":
      return m.granted ? " yes" : " no";
    case "append": {
      const entries = m.entries.length > 0 ? ` entries=${showEntries(m.entries)}` : "";
      return ` prev=${m.prevIndex}@${m.prevTerm}${entries} commit=${m.commit}`;
    }
    case "appended":
    case "copied":
      return ` matched=${m.matched}`;
    case "refused":
      return ` prev=${m.prevIndex} hint=${m.hint}@${m.hintTerm}`;
    case "heartbeat":
      return ` commit=${m.commit} read=${m.readSeq}`;
    case "heard":
      return ` read=${m.readSeq}`;
    case "commit":
      return ` commit=${m.commit}`;
    case "snapshot":
      return ` last=${showPosition(m.meta)} ${showConfiguration(m.meta.configuration)}`;
    case "rejoin":
      return ` as=${m.incarnation}`;
    case "stale":
    case "timeoutNow":
      return "";
  }
}

export const MESSAGE_TYPES: readonly Body["type"][] = [
  "prevote",
  "prevoted",
  "vote",
  "voted",
  "append",
  "appended",
  "refused",
  "heartbeat",
  "heard",
  "commit",
  "snapshot",
  "copied",
  "rejoin",
  "stale",
  "timeoutNow",
];

/** The message of `type` that the fields of a script's line describe. */
export function parseBody(type: Body["type"], fields: Fields): Body {
  const text = (name: string, otherwise?: string): string => {
    const value = fields.get(name) ?? otherwise;
    if (value === undefined) throw new Error(`${type} needs ${name}=`);
    return value;
  };
  const number = (name: string, otherwise?: string): number => Number(text(name, otherwise));
  const index = (name: string) => asIndex(number(name, "0"));
  const last = () => parsePosition(text("last"));
  switch (type) {
    case "prevote":
      return { type, round: number("round"), lastIndex: last().index, lastTerm: last().term };
    case "prevoted":
      return { type, round: number("round"), granted: fields.has("yes") };
    case "vote":
      return {
        type,
        lastIndex: last().index,
        lastTerm: last().term,
        isTransfer: fields.has("transfer"),
      };
    case "voted":
      return { type, granted: fields.has("yes") };
    case "append": {
      const { index: prevIndex, term: prevTerm } = parsePosition(text("prev"));
      const entries = parseEntries(text("entries", ""));
      return { type, prevIndex, prevTerm, entries, commit: index("commit") };
    }
    case "appended":
    case "copied":
      return { type, matched: index("matched") };
    case "rejoin":
      return { type, incarnation: text("as") };
    case "refused": {
      const { index: hint, term: hintTerm } = parsePosition(text("hint"));
      return { type, prevIndex: index("prev"), hint, hintTerm };
    }
    case "heartbeat":
      return { type, commit: index("commit"), readSeq: number("read", "0") };
    case "heard":
      return { type, readSeq: number("read", "0") };
    case "commit":
      return { type, commit: index("commit") };
    case "snapshot": {
      const time = (last().index * ENTRY_MS) as ClusterTime;
      const configuration = parseConfiguration(text("config", "{n1,n2,n3}"));
      return { type, meta: { ...last(), time, configuration } };
    }
    case "stale":
    case "timeoutNow":
      return { type };
  }
}
