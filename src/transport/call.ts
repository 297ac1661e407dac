/**
 * Questions that one node asks another and waits for. None is ever asked twice: a proposal that
 * was repeated would be applied twice (X4). Who calls decides what to do about a PeerCallError.
 */
import type { Dispatcher } from "undici";
import { assert } from "../lib/assert.ts";
import { MalformedError } from "../lib/bytes.ts";
import type { NodeId } from "../raft/types.ts";
import {
  decodeForwardReply,
  decodeHelloReply,
  decodeReadIndexReply,
  encodeForward,
  encodeQuestion,
  encodeReadIndex,
  type ForwardReply,
  type HelloReply,
  type ReadIndexReply,
} from "./call-codec.ts";
import {
  decodeDigestReply,
  type DigestQuestion,
  type DigestReply,
  encodeDigestQuestion,
} from "./digest-codec.ts";
import {
  decodeMemberReply,
  encodeMemberQuestion,
  type MemberQuestion,
  type MemberReply,
} from "./member-codec.ts";
import { PeerCallError, type PeerLink } from "./peer-link.ts";
import { FORWARD_BODY_BYTES_MAX, FORWARD_COUNT_MAX, PATHS, type PeerPath } from "./protocol.ts";

/** Where a peer is reached for calls. */
export interface CallLane {
  readonly link: PeerLink;
  readonly lane: Dispatcher;
}

/** A question, and how its answer is read; `decode` throws MalformedError. */
interface Question<Reply> {
  readonly path: PeerPath;
  readonly body: Uint8Array;
  readonly timeoutMs: number;
  decode(body: Uint8Array): Reply;
}

/** Every method rejects with a PeerCallError where there is no answer. */
export class PeerCalls {
  readonly #laneTo: (peer: NodeId) => CallLane | null;

  constructor(laneTo: (peer: NodeId) => CallLane | null) {
    this.#laneTo = laneTo;
  }

  /**
   * Asks the leader to put the proposals, in order, into its log: all of them or none. At most
   * FORWARD_COUNT_MAX of them, and 16 MiB in all.
   */
  forward(
    peer: NodeId,
    proposals: readonly Uint8Array[],
    timeoutMs: number,
  ): Promise<ForwardReply> {
    assert(proposals.length <= FORWARD_COUNT_MAX, "too many proposals in one call");
    const body = encodeForward(proposals);
    assert(body.length <= FORWARD_BODY_BYTES_MAX, "too many bytes of proposals in one call");
    const decode = (reply: Uint8Array) => decodeForwardReply(reply, proposals.length);
    return this.#ask(peer, { path: PATHS.forward, body, timeoutMs, decode });
  }

  /**
   * Asks the leader how far a state must have been applied to answer a read that begins now; by its
   * lease, if it has one and that will do.
   */
  readIndex(
    peer: NodeId,
    timeoutMs: number,
    { mayLease } = { mayLease: false },
  ): Promise<ReadIndexReply> {
    const body = encodeReadIndex(mayLease);
    return this.#ask(peer, {
      path: PATHS.readIndex,
      body,
      timeoutMs,
      decode: decodeReadIndexReply,
    });
  }

  /** Asks a node of this cluster who it is and what it knows of this one. Membership not needed. */
  hello(peer: NodeId, timeoutMs: number): Promise<HelloReply> {
    const body = encodeQuestion();
    return this.#ask(peer, { path: PATHS.hello, body, timeoutMs, decode: decodeHelloReply });
  }

  /** Asks the leader to change who is a member, or to hand over. */
  members(peer: NodeId, question: MemberQuestion, timeoutMs: number): Promise<MemberReply> {
    const body = encodeMemberQuestion(question);
    return this.#ask(peer, { path: PATHS.members, body, timeoutMs, decode: decodeMemberReply });
  }

  /** Asks a member for the digests of its state, and tells it what the majority's were before. */
  digest(peer: NodeId, question: DigestQuestion, timeoutMs: number): Promise<DigestReply> {
    const body = encodeDigestQuestion(question);
    return this.#ask(peer, { path: PATHS.digest, body, timeoutMs, decode: decodeDigestReply });
  }

  async #ask<Reply>(peer: NodeId, question: Question<Reply>): Promise<Reply> {
    const to = this.#laneTo(peer);
    if (to === null) throw new PeerCallError(peer, "no address is known", { sent: false });
    const body = await to.link.request(to.lane, question);
    try {
      return question.decode(body);
    } catch (cause) {
      if (!(cause instanceof MalformedError)) throw cause;
      throw new PeerCallError(peer, "the answer makes no sense", { sent: true, cause });
    }
  }
}
