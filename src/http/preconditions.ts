/**
 * Conditions in headers and parameters. Those of a write go into its command and are judged when it
 * is applied, never here; those of a read are judged against what was read.
 */
import type { IncomingHttpHeaders } from "node:http";
import type { Condition } from "../kv/command.ts";
import type { Metadata } from "../kv/version.ts";
import { invalid } from "./query.ts";

/** The ETag of a key: its mod revision. The version would repeat itself after a delete. */
export function etagOf({ modRevision }: Metadata): string {
  return `"${modRevision}"`;
}

const NONE: readonly Condition[] = [];

/** All that must hold for a write. `version` 0: the key must not exist. */
export function writeConditions(
  headers: IncomingHttpHeaders,
  version: number | undefined,
): readonly Condition[] {
  const ifMatch = headers["if-match"];
  const ifNoneMatch = headers["if-none-match"];
  if (ifMatch === undefined && ifNoneMatch === undefined && version === undefined) return NONE;
  const conditions: Condition[] = [];
  if (ifMatch !== undefined) {
    const modRevision = readTag("If-Match", ifMatch);
    conditions.push(
      modRevision === "*" ? { type: "exists" } : { type: "modRevision", modRevision },
    );
  }
  if (ifNoneMatch !== undefined) {
    const modRevision = readTag("If-None-Match", ifNoneMatch);
    conditions.push(
      modRevision === "*" ? { type: "absent" } : { type: "otherModRevision", modRevision },
    );
  }
  if (version !== undefined) conditions.push({ type: "version", version });
  return conditions;
}

/** What the conditions of a read make of it, with the key as it is; null: it is not there. */
export function judgeRead(
  headers: IncomingHttpHeaders,
  found: Metadata | null,
): "send" | "not_modified" | "failed" {
  const ifMatch = headers["if-match"];
  const ifNoneMatch = headers["if-none-match"];
  if (ifMatch !== undefined && !matches(readTag("If-Match", ifMatch), found)) return "failed";
  if (ifNoneMatch === undefined) return "send";
  return matches(readTag("If-None-Match", ifNoneMatch), found) ? "not_modified" : "send";
}

function matches(tag: number | "*", found: Metadata | null): boolean {
  if (found === null) return false;
  return tag === "*" || tag === found.modRevision;
}

function readTag(name: string, text: string): number | "*" {
  if (text === "*") return "*";
  if (text.startsWith("W/")) throw invalid(`${name}: a weak ETag says nothing about the value`);
  const [, digits] = /^"([1-9]\d{0,15})"$/.exec(text) ?? [];
  const revision = digits === undefined ? Number.NaN : Number(digits);
  if (Number.isSafeInteger(revision)) return revision;
  throw invalid(`${name} must be * or one ETag of this server, such as "812", in quotes`);
}
