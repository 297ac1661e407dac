/** Configurations: who is in them, and their bytes in the log. */
import { ByteReader, ByteWriter, MalformedError, NewerError } from "../lib/bytes.ts";
import {
  asIndex,
  type Configuration,
  type Deciders,
  type Index,
  isNodeId,
  type Member,
  type NodeId,
} from "./types.ts";

const FORMAT = 2;
/** More members than this only make every decision slower. */
export const MEMBERS_MAX = 255;

const VOTER = 1;
const OUTGOING = 2;
const LEARNER = 4;
const JOINING = 8;

/** The configuration that a cluster begins with: voters only, by name and peer URL. */
export function foundingConfiguration(urls: ReadonlyMap<NodeId, string>): Configuration {
  const members = [...urls].map(([id, peerUrl]) => founder(id, peerUrl));
  return { ...configurationOf({ voters: [...urls.keys()] }), members: inOrder(members) };
}

/** A configuration of founders that nobody needs to find. */
export function configurationOf(parts: {
  readonly voters: readonly NodeId[];
  readonly outgoing?: readonly NodeId[];
  readonly learners?: readonly NodeId[];
}): Configuration {
  const { voters, outgoing = [], learners = [] } = parts;
  const ids = [...new Set([...voters, ...outgoing, ...learners])];
  return {
    voters: [...voters].sort(),
    outgoing: [...outgoing].sort(),
    learners: [...learners].sort(),
    members: inOrder(ids.map((id) => founder(id, ""))),
  };
}

function founder(id: NodeId, peerUrl: string): Member {
  return { id, peerUrl, incarnation: "", since: asIndex(0), isJoining: false };
}

/** Ordered by name, as members of a configuration are. */
export function inOrder(members: readonly Member[]): readonly Member[] {
  return [...members].sort((a, b) => (a.id < b.id ? -1 : 1));
}

export function isVoter(config: Deciders, id: NodeId): boolean {
  return config.voters.includes(id) || config.outgoing.includes(id);
}

/** Whether a change is under way. */
export function isJoint(config: Deciders): boolean {
  return config.outgoing.length > 0;
}

/** Whether it is a member when the change that is under way, if there is one, is through. */
export function isStaying(config: Configuration, id: NodeId): boolean {
  return config.voters.includes(id) || config.learners.includes(id);
}

/** Everyone who receives the log, each once, in a fixed order. */
export function membersOf(config: Configuration): readonly NodeId[] {
  return config.members.map(({ id }) => id);
}

/** Undefined: it is no member. */
export function memberOf(config: Configuration, id: NodeId): Member | undefined {
  return config.members.find((member) => member.id === id);
}

export function encodeConfiguration(config: Configuration): Uint8Array {
  const out = new ByteWriter();
  out.u8(FORMAT);
  out.varint(config.members.length);
  for (const member of config.members) {
    out.sizedString(member.id);
    out.u8(flagsOf(config, member));
    out.sizedString(member.peerUrl);
    out.sizedString(member.incarnation);
    out.varint(member.since);
  }
  return out.finish();
}

function flagsOf(config: Configuration, { id, isJoining }: Member): number {
  return (
    (config.voters.includes(id) ? VOTER : 0) |
    (config.outgoing.includes(id) ? OUTGOING : 0) |
    (config.learners.includes(id) ? LEARNER : 0) |
    (isJoining ? JOINING : 0)
  );
}

/**
 * Throws MalformedError where the bytes are no configuration, or one that could never decide, and
 * NewerError where their format is not known.
 */
export function decodeConfiguration(bytes: Uint8Array): Configuration {
  const source = new ByteReader(bytes);
  const format = source.u8();
  if (format > FORMAT) throw new NewerError(`a configuration of format ${format}`);
  if (format !== FORMAT) throw new MalformedError(`unknown configuration format ${format}`);
  const count = source.varint();
  if (count > MEMBERS_MAX) throw new MalformedError(`${count} members are too many`);
  const found: { readonly member: Member; readonly flags: number }[] = [];
  for (let i = 0; i < count; i++) found.push(readMember(source, found.at(-1)?.member.id ?? ""));
  source.end();
  const withFlag = (flag: number) =>
    found.filter(({ flags }) => (flags & flag) !== 0).map(({ member }) => member.id);
  const config: Configuration = {
    voters: withFlag(VOTER),
    outgoing: withFlag(OUTGOING),
    learners: withFlag(LEARNER),
    members: found.map(({ member }) => member),
  };
  if (config.voters.length === 0) throw new MalformedError("a configuration without voters");
  return config;
}

/** Names come in order, so that none counts twice. */
function readMember(source: ByteReader, before: string): { member: Member; flags: number } {
  const id = source.sizedString();
  if (!isNodeId(id)) throw new MalformedError("not the name of a node");
  if (id <= before) throw new MalformedError(`${id} is not in its place`);
  const flags = source.u8();
  const isLearner = (flags & LEARNER) !== 0;
  const isPart = (flags & (VOTER | OUTGOING | LEARNER)) !== 0 && flags < 2 * JOINING;
  const isOne = !isLearner || (flags & VOTER) === 0;
  if (!isPart || !isOne) throw new MalformedError(`${id} cannot be a member as ${flags}`);
  const isJoining = (flags & JOINING) !== 0;
  if (isJoining && !isLearner) throw new MalformedError(`${id} has joined already`);
  const peerUrl = source.sizedString();
  const incarnation = source.sizedString();
  const since: Index = asIndex(source.varint());
  return { member: { id, peerUrl, incarnation, since, isJoining }, flags };
}
