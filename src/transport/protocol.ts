/** What both sides of the peer protocol must agree on: version, paths, sizes. */
import { ENTRY_DATA_BYTES_MAX } from "../raft/entry.ts";

/** Of the meaning of peer requests. A node refuses every other version than its own. */
export const PROTOCOL_VERSION = "1";

export const MEDIA_TYPE = "application/msgpack";

export const PATHS = {
  messages: "/raft/v1/messages",
  forward: "/raft/v1/forward",
  readIndex: "/raft/v1/read-index",
  hello: "/raft/v1/hello",
  snapshot: "/raft/v1/snapshot",
  members: "/raft/v1/members",
  digest: "/raft/v1/digest",
} as const;

export type PeerPath = (typeof PATHS)[keyof typeof PATHS];

const KIB = 1024;
const MIB = 1024 * KIB;

/** The largest body of messages: one entry of the largest size, with room for what goes with it. */
export const MESSAGES_BODY_BYTES_MAX = ENTRY_DATA_BYTES_MAX + 4 * MIB;
/** No more messages than this in one body: decoded they are larger than their bytes. */
export const MESSAGES_COUNT_MAX = 4096;
/** The largest body of proposals to forward. */
export const FORWARD_BODY_BYTES_MAX = MESSAGES_BODY_BYTES_MAX;
/** No more proposals than this in one call. */
export const FORWARD_COUNT_MAX = 4096;
/** The most of a snapshot that one request carries. */
export const SNAPSHOT_CHUNK_BYTES_MAX = MIB;
export const SNAPSHOT_BODY_BYTES_MAX = SNAPSHOT_CHUNK_BYTES_MAX + KIB;
/** A change of the members: some names and URLs each. */
export const MEMBERS_BODY_BYTES_MAX = 64 * KIB;
/** Calls that ask, and carry nothing. */
export const QUESTION_BODY_BYTES_MAX = KIB;
/** A question for digests carries a key, of 4 KiB at most. */
export const DIGEST_BODY_BYTES_MAX = 5 * KIB;
/** The largest answer: the positions of as many proposals as one call can carry. */
export const REPLY_BODY_BYTES_MAX = 32 * FORWARD_COUNT_MAX;
