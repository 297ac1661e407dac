/** The headers that the API knows, each with what it means. */

/** Of requests. */
export const REQUEST_HEADERS = {
  "If-Match": {
    text: "the ETag that the key must have; *: it must exist. A list of tags is refused",
    example: "*",
  },
  "If-None-Match": {
    text: "writes: *: the key must not exist. Reads: 304 where the key still has this ETag",
    example: '"812"',
  },
  "Idempotency-Key": {
    text:
      "a name for this write, of 1 to 128 visible ASCII characters: a retry under it, through " +
      "any node, is answered by what came of the first, for a minute at least, and for ten where " +
      "there is room",
    example: "visit-6",
  },
  Prefer: {
    text: "wait=30: wait for a change for as many seconds, at most 60",
    example: "wait=1",
  },
  "Last-Event-ID": {
    text: "the id of the last event that was seen: the watch goes on after it, before `since`",
    example: "812",
  },
  Accept: {
    text: "text/event-stream for a watch of the key; application/octet-stream for its bytes",
    example: "application/json",
  },
  "Quorate-Forward": {
    text: "never: a node that does not lead answers 307 with the URL of the leader",
    example: "never",
  },
  "Quorate-Timeout-Ms": {
    text: "how long the request may take, from 1 to 60000; 5000 unless it is said",
    example: "5000",
  },
  "Request-Id": {
    text: "a name for the request, which the answer repeats",
    example: "my-request-1",
  },
} as const;

export type RequestHeader = keyof typeof REQUEST_HEADERS;

/** Of answers. */
export const RESPONSE_HEADERS = {
  "Request-Id": "the name of the request: the client's own, or one of this node",
  "Cache-Control": "no-store: an answer is old as soon as it is sent",
  "Quorate-Node": "the name of the node that answers",
  "Quorate-Leader": "the client URL of the leader; absent while none is known",
  "Quorate-Term": "the term of the cluster; absent before the node runs",
  ETag: "the revision that wrote the key, in quotes; absent where there is no such key",
  "Quorate-Version": "the version of the key; 0 where there is no such key",
  "Quorate-Revision": "the revision that wrote the key; of a delete or a backup, that of the store",
  "Quorate-Store-Revision": "the revision of the store when it was answered",
  "Quorate-Consistency": "how the answer was read: linearizable, lease or stale",
  "Quorate-Last-Contact-Ms": "stale reads: how long ago the leader was heard",
  "Quorate-Ttl-Ms": "for how long the key still lives; absent where that is for ever",
  "Quorate-Deleted": "how many keys are gone",
  "Idempotency-Replayed": "true: this is what came of an earlier request of the same name",
  "Content-Disposition": "a name for the file",
  Location: "where to find it, or where to send the request instead",
  "Retry-After": "how long to wait before the next attempt, in seconds",
  "X-Content-Type-Options": "nosniff: the bytes are nothing but bytes",
  "Content-Security-Policy": "what a browser may do with the content",
  "X-Accel-Buffering": "no: proxies must pass events on at once",
} as const;

export type ResponseHeader = keyof typeof RESPONSE_HEADERS;

/** What every answer says. */
export const NODE_HEADERS = [
  "Request-Id",
  "Cache-Control",
  "Quorate-Node",
  "Quorate-Leader",
  "Quorate-Term",
] as const;
