/** What is done with what peers say, before the node runs and while it does. */
import type { RaftNode } from "../node/node.ts";
import type { PeerBook } from "../node/identity.ts";
import type { Examinee } from "../service/examinee.ts";
import { acceptForward, acceptMembers, acceptRead } from "../service/answers.ts";
import type { CallRefused } from "../transport/call-codec.ts";
import type { NodeId } from "../raft/types.ts";
import type { Identity } from "../transport/identity.ts";
import type { PeerHandlers } from "../transport/peer-server.ts";

/** What peers get to talk to. */
export interface PeerTarget {
  readonly self: Identity;
  readonly clientUrl: string;
  readonly book: PeerBook;
  /** For how long no other incarnation of a peer was heard than this one. */
  silentMs(id: NodeId, incarnation: string): number;
  readonly node: Pick<
    RaftNode<unknown>,
    | "receive"
    | "receiveSnapshot"
    | "submit"
    | "awaitCommit"
    | "readIndex"
    | "status"
    | "change"
    | "transfer"
  >;
  readonly examinee: Pick<Examinee, "answer">;
  isMember(id: NodeId): boolean;
  /** Until then, this node takes no part in anything: it may turn out that it must not. */
  isRunning(): boolean;
}

/** The handlers of the peer listener. */
export function peerHandlers(target: PeerTarget): PeerHandlers {
  const { self, clientUrl, book, node, examinee } = target;
  const refused = (): CallRefused => {
    const { leader, term } = node.status();
    return { type: "refused", reason: "not_leader", leader, term };
  };
  return {
    onMessages(messages) {
      if (target.isRunning()) node.receive(messages);
    },

    async onForward(from, proposals) {
      return target.isRunning() ? acceptForward(node, { from, proposals }) : refused();
    },

    async onReadIndex(_from, mayLease) {
      return target.isRunning() ? acceptRead(node, mayLease ? "lease" : "quorum") : refused();
    },

    async onHello(sender) {
      const { from } = sender;
      // Whoever asks is remembered before it may rely on the answer; strangers are not.
      if (target.isMember(from)) {
        await new Promise<void>((resolve) => book.record(from, sender, resolve));
      }
      return {
        name: self.id,
        incarnation: self.incarnation,
        fresh: !target.isRunning(),
        knownIncarnation: book.incarnationOf(from),
        silentMs: target.silentMs(from, sender.incarnation),
        clientUrl,
      };
    },

    async onMembers(from, question) {
      if (target.isRunning()) return acceptMembers(node, { from, question });
      return question.type === "change"
        ? { type: "changed", result: { refused: "not_leader" } }
        : { type: "transferred", result: "not_leader" };
    },

    onSnapshotChunk(from, chunk) {
      if (!target.isRunning()) return Promise.resolve({ type: "refused", reason: "not_wanted" });
      return new Promise((resolve) => node.receiveSnapshot({ ...chunk, from }, resolve));
    },

    async onDigest(_from, question) {
      return target.isRunning() ? examinee.answer(question) : { chain: null, page: null };
    },
  };
}
