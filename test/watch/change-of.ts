/** The changes of a store, as watches should tell them. Keys and values must be ASCII. */
import { byteString } from "../../src/lib/bytes.ts";
import { isLive, keyValueOf, type Version } from "../../src/kv/version.ts";
import type { Change, Told } from "./validate.ts";

export function changeOf(version: Version): Change {
  const { key, modRevision: revision, prev } = version;
  const now = toldOf(version);
  const kind = now !== null ? "put" : version.expired === true ? "expire" : "delete";
  return { kind, revision, key, now, before: prev === null ? null : toldOf(prev) };
}

function toldOf(version: Version): Told | null {
  if (!isLive(version)) return null;
  const { key, value, version: number, modRevision, createRevision } = keyValueOf(version);
  const revisions = { mod_revision: modRevision, create_revision: createRevision };
  return { key, value: byteString(value), version: number, ...revisions };
}
