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
  connectionsMax: 4_096,
  // One client cannot take the room of all the others.
  connectionsPerAddressMax: 1_024,
  receivingBytesMax: 256 * MIB,
};

/** How long a request may take, unless it says otherwise. */
export const TIMEOUT_DEFAULT_MS = 5_000;
export const TIMEOUT_MAX_MS = 60_000;

/** Keys in a path. Longer ones can be named in bodies. */
export const PATH_KEY_BYTES_MAX = 1_024;
/** A key of which every byte is escaped, and a generous query. */
export const URL_CHARS_MAX = 8_192;
/** All header lines of a request together, the URL among them. */
export const HEADER_BYTES_MAX = 16 * 1024;
/** The largest value, if JSON writes every byte of it as `\u0000`, and what goes around it. */
export const JSON_BODY_BYTES_MAX = 6 * MIB + 4_096;
/** How often connections are looked at for deadlines. Node's own 30 s would make them idle. */
export const CHECK_MS = 500;
