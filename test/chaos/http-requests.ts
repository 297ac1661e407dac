/** Takes the bytes of a connection apart into whole HTTP requests. */

/** One request as it was sent. */
export interface RawRequest {
  readonly path: string;
  /** The node that sent it. */
  readonly from: string;
  readonly bytes: Buffer;
}

const END_OF_HEAD = "\r\n\r\n";

/**
 * Feed it the pieces in order; it calls `onRequest` for each request that is complete. Bodies must
 * have a content-length, as those between nodes do.
 */
export class RequestSplitter {
  readonly #onRequest: (request: RawRequest) => void;
  #pending: Buffer = Buffer.alloc(0);

  constructor(onRequest: (request: RawRequest) => void) {
    this.#onRequest = onRequest;
  }

  push(chunk: Buffer): void {
    this.#pending = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
    while (this.#takeOne());
  }

  #takeOne(): boolean {
    const headEnd = this.#pending.indexOf(END_OF_HEAD);
    if (headEnd < 0) return false;
    const head = this.#pending.toString("latin1", 0, headEnd);
    const [, path] = /^[A-Z]+ (\S+) HTTP\/1\.1/.exec(head) ?? [];
    if (path === undefined) throw new Error(`no HTTP request: ${head.slice(0, 80)}`);
    const [, length] = /^content-length: (\d+)/im.exec(head) ?? [];
    const end = headEnd + END_OF_HEAD.length + Number(length ?? 0);
    if (this.#pending.length < end) return false;
    const [, from] = /^quorate-from: (\S+)/im.exec(head) ?? [];
    const bytes = Buffer.from(this.#pending.subarray(0, end));
    this.#onRequest({ path, from: from ?? "", bytes });
    this.#pending = this.#pending.subarray(end);
    return true;
  }
}
