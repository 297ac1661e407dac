/** Questions about members, and their answers, survive the wire exactly; all else is refused. */
import { describe, expect, test } from "vitest";
import { MalformedError } from "../../src/lib/bytes.ts";
import { MEMBERS_MAX } from "../../src/raft/membership.ts";
import type { NodeId } from "../../src/raft/types.ts";
import {
  decodeMemberQuestion,
  decodeMemberReply,
  encodeMemberQuestion,
  encodeMemberReply,
} from "../../src/transport/member-codec.ts";
import { type Packable, seal } from "../../src/transport/msgpack.ts";
import { MEMBERS_BODY_BYTES_MAX } from "../../src/transport/protocol.ts";
import { memberQuestions, memberReplies } from "./member-examples.ts";

test.each(memberQuestions)("a question: %j", (question) => {
  expect(decodeMemberQuestion(encodeMemberQuestion(question))).toStrictEqual(question);
});

test.each(memberReplies)("an answer: %j", (reply) => {
  expect(decodeMemberReply(encodeMemberReply(reply))).toStrictEqual(reply);
});

test("a change of as many members as there can be fits into a question", () => {
  const changes = Array.from({ length: MEMBERS_MAX }, (_, at) => {
    const id = `${at}`.padStart(64, "n") as NodeId;
    const peerUrl = `http://n${at}.${"h".repeat(60)}:5001`;
    return { type: "add", id, peerUrl, incarnation: "i".repeat(64), isJoining: true } as const;
  });
  const body = encodeMemberQuestion({ type: "change", changes });
  expect(body.length).toBeLessThan(MEMBERS_BODY_BYTES_MAX);
  expect(decodeMemberQuestion(body)).toStrictEqual({ type: "change", changes });
});

describe("what makes no sense is refused", () => {
  const asked =
    (...fields: readonly Packable[]) =>
    () =>
      decodeMemberQuestion(seal(fields));
  const changed = (...change: readonly Packable[]) => asked(0, [change]);
  const answered =
    (...fields: readonly Packable[]) =>
    () =>
      decodeMemberReply(seal(fields));
  const url = "http://n4.test:5001";
  const many = Array.from({ length: MEMBERS_MAX + 1 }, () => [3, "n4", "", "", false]);

  test.each<[string, () => unknown]>([
    ["an unknown question", asked(2, null)],
    ["a question with too much", asked(1, null, 0)],
    ["a target that is no node", asked(1, "a b")],
    ["an empty target", asked(1, "")],
    ["changes that are no list", asked(0, "n4")],
    ["more changes than there can be members", asked(0, many)],
    ["an unknown change", changed(5, "n4", url, "", false)],
    ["a change with too little", changed(0, "n4", url, "")],
    ["a change with too much", changed(0, "n4", url, "", false, 1)],
    ["a member that is no node", changed(3, "a/b", "", "", false)],
    ["a new member without a URL", changed(0, "n4", "", "", false)],
    ["a new member at no origin", changed(0, "n4", "http://n4.test/raft", "", false)],
    ["a move to no URL", changed(4, "n4", "n4.test:5001", "", false)],
    ["an incarnation that is no name", changed(0, "n4", url, "a b", false)],
    ["a flag that is a number", changed(0, "n4", url, "", 1)],
    ["an unknown answer", answered(2, 0, 13)],
    ["neither yes nor no", answered(0, 2, 13)],
    ["an answer with too little", answered(0, 0)],
    ["a place that is none", answered(0, 0, [-1, 1])],
    ["a place without a term", answered(0, 0, [13])],
    ["a term that is none", answered(0, 0, [13, -1])],
    ["a refusal without a reason", answered(0, 1, 13)],
    ["an unknown reason", answered(0, 1, [6, 0, []])],
    ["an unknown problem", answered(0, 1, [5, 8, []])],
    ["a problem with what is no node", answered(0, 1, [5, 0, ["a b"]])],
    ["a target that is no node", answered(1, 0, "")],
    ["an unknown reason not to hand over", answered(1, 1, 3)],
  ])("%s", (_what, decode) => {
    expect(decode).toThrow(MalformedError);
  });

  test("though next to it all is well", () => {
    expect(changed(3, "n4", "", "", false)()).toEqual({
      type: "change",
      changes: [{ type: "remove", id: "n4" }],
    });
    expect(answered(0, 1, [5, 7, ["n4"]])()).toEqual({
      type: "changed",
      result: { refused: "problem", problem: "too_many", id: "n4" },
    });
    expect(answered(0, 0, [13, 2])()).toEqual({
      type: "changed",
      result: { index: 13, term: 2 },
    });
    expect(answered(1, 1, 2)()).toEqual({ type: "transferred", result: "no_target" });
  });
});
