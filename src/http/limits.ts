/** What a client may ask of the listener, and for how long. Bare HTTP servers allow nearly all. */

export interface ClientServerLimits {
  /** For a connection to say something, and for the headers of a request to arrive. */
  readonly headersTimeoutMs: number;
  /** For a whole request to arrive. */
  readonly requestTimeoutMs: number;
  /** For which an idle connection is kept between two requests. */
  readonly keepAliveTimeoutMs: number;
  /** For which nothing at all may move on a connection, not even while a request is at work. */
  readonly socketTimeoutMs: number;
  readonly requestsPerSocketMax: number;
  readonly connectionsMax: number;
  readonly connectionsPerAddressMax: number;
  /** All bodies together that are being received. */
  readonly receivingBytesMax: number;
  /** All answers and events together that clients have not taken yet. */
  readonly unsentBytesMax: number;
}

const MIB = 1024 * 1024;

export const clientServerLimits: ClientServerLimits = {
  headersTimeoutMs: 5_000,
  requestTimeoutMs: 10_000,
  keepAliveTimeoutMs: 20_000,
  // Longer than the longest time that a request may take.
  socketTimeoutMs: 75_000,
  // So that clients behind a balancer spread over the nodes again, now and then.
  requestsPerSocketMax: 10_000,
  // A watcher has one of its own, and there may be 10,000.
  connectionsMax: 12_288,
  // One client cannot take the room of all the others.
  connectionsPerAddressMax: 1_024,
  receivingBytesMax: 256 * MIB,
  // Whoever reads takes an answer at once: that is some hundreds of the largest for who does not.
  unsentBytesMax: 256 * MIB,
};

/** How long a request may take, unless it says otherwise. */
export const TIMEOUT_DEFAULT_MS = 5_000;
export const TIMEOUT_MAX_MS = 60_000;
/** How long a read may wait for a change. Shorter than what may pass without a word. */
export const WAIT_MAX_MS = 60_000;

/** Requests of a connection at work at once: an answer may have some MiB. */
export const PIPELINED_MAX = 8;

/** Keys in a path. Longer ones can be named in bodies. */
export const PATH_KEY_BYTES_MAX = 1_024;
/** A key of which every byte is escaped, and a generous query. */
export const URL_CHARS_MAX = 8_192;
/** All header lines of a request together, the URL among them. */
export const HEADER_BYTES_MAX = 16 * 1024;
/**
 * The largest transaction. The largest value has room in it, even if JSON writes every byte of it
 * as `\u0000`.
 */
export const JSON_BODY_BYTES_MAX = 8 * MIB;
/** Properties and items in a JSON body: some times what the largest transaction needs. */
export const JSON_PARTS_MAX = 10_000;
/** Arrays and objects in each other: some times what any request needs. */
export const JSON_DEPTH_MAX = 16;
/** Of the sentence that says what is wrong. */
export const ERROR_CHARS_MAX = 500;
/** Keys and common prefixes in a page of a list. */
export const LIST_ENTRIES_DEFAULT = 100;
export const LIST_ENTRIES_MAX = 1_000;
/** Bytes of keys and values in a page: encoding them holds the event loop for about 5 ms. */
export const LIST_BYTES_MAX = 2 * MIB;
/** Keys that can be read at once, and bytes of them and their values. */
export const BATCH_KEYS_MAX = 1_000;
export const BATCH_BYTES_MAX = 4 * MIB;
/** Keys of a lease in an answer, and bytes of them: every one could need six times as many. */
export const LEASE_KEYS_MAX = 1_000;
export const LEASE_KEY_BYTES_MAX = 256 * 1024;
/** How often connections are looked at for deadlines. Node's own 30 s would make them idle. */
export const CHECK_MS = 500;
