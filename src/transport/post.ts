/**
 * One POST over an undici dispatcher, with a deadline for the whole of it, and with certainty about
 * one thing: whether any of it was ever written to a socket (N8).
 *
 * Below undici's convenient `request`, because that cannot tell the difference between a request
 * that still waited for a connection and one that the peer may have acted on.
 */
import type { Dispatcher } from "undici";

export interface Post {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
  /** For everything: waiting for a connection, sending, and the whole answer. */
  readonly timeoutMs: number;
}

export interface PostReply {
  readonly status: number;
  readonly body: Uint8Array;
}

/** There was no answer. */
export class PostError extends Error {
  override readonly name = "PostError";
  /** False: not a byte of the request was written. True: the peer may have it. */
  readonly sent: boolean;

  constructor(cause: Error, sent: boolean) {
    super(cause.message || String(cause), { cause });
    this.sent = sent;
  }
}

/** The answer, whatever its status. Rejects with a PostError. Never sends anything twice. */
export function post(dispatcher: Dispatcher, request: Post): Promise<PostReply> {
  return new Promise((resolve, reject) => {
    const exchange = new Exchange(request.timeoutMs, { resolve, reject });
    const { path, headers, body } = request;
    dispatcher.dispatch({ method: "POST", path, headers, body }, exchange);
  });
}

interface Outcome {
  resolve(reply: PostReply): void;
  reject(error: PostError): void;
}

/** What undici tells about one request. The first of answer, error and deadline decides. */
class Exchange implements Dispatcher.DispatchHandler {
  readonly #outcome: Outcome;
  readonly #deadline: NodeJS.Timeout;
  readonly #chunks: Buffer[] = [];
  #controller: Dispatcher.DispatchController | null = null;
  #status = 0;
  #settled = false;

  constructor(timeoutMs: number, outcome: Outcome) {
    this.#outcome = outcome;
    this.#deadline = setTimeout(() => {
      const late = new Error(`no answer within ${timeoutMs} ms`);
      this.#fail(late);
      this.#controller?.abort(late);
    }, timeoutMs);
  }

  /** Called just before the first byte is written. */
  onRequestStart(controller: Dispatcher.DispatchController): void {
    // Given up while it waited for a connection; or, should undici ever try again, written before.
    // To throw withdraws the request; to abort would also cut a connection that is in order.
    if (this.#settled || this.#controller !== null) throw new Error("withdrawn");
    this.#controller = controller;
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number): void {
    this.#status = status;
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#chunks.push(chunk);
  }

  onResponseEnd(): void {
    if (!this.#settle()) return;
    this.#outcome.resolve({ status: this.#status, body: Buffer.concat(this.#chunks) });
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#fail(error);
  }

  #fail(error: Error): void {
    const sent = this.#controller !== null;
    if (this.#settle()) this.#outcome.reject(new PostError(error, sent));
  }

  #settle(): boolean {
    if (this.#settled) return false;
    this.#settled = true;
    clearTimeout(this.#deadline);
    return true;
  }
}
