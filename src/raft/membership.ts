/** Configurations: their bytes in the log, and their history by index. */
import { assert } from "../lib/assert.ts";
import { ByteReader, ByteWriter, MalformedError } from "../lib/bytes.ts";
import {
  asIndex,
  type Configuration,
  type Index,
  isNodeId,
  type NodeId,
  type SnapshotMeta,
} from "./types.ts";

const FORMAT = 1;
/** More voters than this only make every decision slower. */
const MEMBERS_MAX = 255;

/** A configuration that is not in the middle of a change. */
export function simpleConfiguration(voters: readonly NodeId[]): Configuration {
  return { voters: [...voters].sort(), outgoing: [], learners: [] };
}

export function isVoter(config: Configuration, id: NodeId): boolean {
  return config.voters.includes(id) || config.outgoing.includes(id);
}

/** Everyone who receives the log, each once, in a fixed order. */
export function membersOf(config: Configuration): readonly NodeId[] {
  const all = new Set([...config.voters, ...config.outgoing, ...config.learners]);
  return [...all].sort();
}

export function encodeConfiguration(config: Configuration): Uint8Array {
  const out = new ByteWriter();
  out.u8(FORMAT);
  for (const ids of [config.voters, config.outgoing, config.learners]) {
    out.varint(ids.length);
    for (const id of ids) out.sizedString(id);
  }
  return out.finish();
}

/** Throws MalformedError where the bytes are no configuration, or one that could never decide. */
export function decodeConfiguration(bytes: Uint8Array): Configuration {
  const source = new ByteReader(bytes);
  const format = source.u8();
  if (format !== FORMAT) throw new MalformedError(`unknown configuration format ${format}`);
  const voters = readIds(source);
  const outgoing = readIds(source);
  const learners = readIds(source);
  source.end();
  if (voters.length === 0) throw new MalformedError("a configuration without voters");
  return { voters, outgoing, learners };
}

function readIds(source: ByteReader): readonly NodeId[] {
  const count = source.varint();
  if (count > MEMBERS_MAX) throw new MalformedError(`${count} members are too many`);
  const ids: NodeId[] = [];
  for (let i = 0; i < count; i++) {
    const id = source.sizedString();
    if (!isNodeId(id)) throw new MalformedError("not the name of a node");
    if (ids.includes(id)) throw new MalformedError(`${id} would count twice`);
    ids.push(id);
  }
  return ids;
}

/**
 * Which configuration holds from which index on. The last one in the log is in force as soon as it
 * is appended (§6), and truncating it brings back the one before.
 *
 * Invariant: never empty; indexes increase.
 */
export class ConfigurationHistory {
  private list: { readonly index: Index; readonly configuration: Configuration }[];

  constructor(index: Index, configuration: Configuration) {
    this.list = [{ index, configuration }];
  }

  get current(): Configuration {
    return this.last().configuration;
  }

  /** The one in force at `index`, which must not be older than what is kept. */
  at(index: Index): Configuration {
    const found = this.list.findLast((item) => item.index <= index);
    assert(found !== undefined, () => `no configuration is known at ${index}`);
    return found.configuration;
  }

  append(index: Index, configuration: Configuration): void {
    assert(index > this.last().index, () => `configuration ${index} is not the newest`);
    this.list.push({ index, configuration });
  }

  /** Forgets every configuration from `index` on. Returns whether the current one changed. */
  truncateFrom(index: Index): boolean {
    const kept = this.list.filter((item) => item.index < index);
    assert(kept.length > 0, () => `truncating the first configuration at ${index}`);
    const changed = kept.length < this.list.length;
    this.list = kept;
    return changed;
  }

  /** Forgets what was in force only before `index`. */
  compactTo(index: Index): void {
    const from = this.list.findLastIndex((item) => item.index <= index);
    if (from > 0) this.list = this.list.slice(from);
  }

  /** Starts anew from a snapshot. */
  reset(meta: SnapshotMeta): void {
    this.list = [{ index: asIndex(meta.index), configuration: meta.configuration }];
  }

  private last(): { readonly index: Index; readonly configuration: Configuration } {
    const last = this.list.at(-1);
    assert(last !== undefined, "no configuration");
    return last;
  }
}
