/** What a leader believes of one follower (L4, L5, L12): a state machine of three modes. */
import { describe, expect, test } from "vitest";
import { Prng } from "../../src/lib/random.ts";
import { Progress } from "../../src/raft/progress.ts";
import { asIndex, type Millis } from "../../src/raft/types.ts";

const WINDOW = { messages: 3, bytes: 100 };

function probing(next: number): Progress {
  return new Progress(asIndex(next), 0 as Millis);
}

function replicating(matched: number): Progress {
  const progress = probing(matched + 1);
  progress.appended(asIndex(matched));
  return progress;
}

/** A follower that has lost what it promised, and has copied the log up to `matched` since. */
function doubtful(matched: number): Progress {
  const progress = replicating(matched);
  progress.forget("x");
  progress.copied(asIndex(matched));
  return progress;
}

function shown({ mode, matched, next }: Progress): string {
  return `${mode} ${matched}→${next}`;
}

describe("a probe", () => {
  test("sends one message, and waits for its answer", () => {
    const progress = probing(5);
    expect(progress.mayAppend(WINDOW)).toBe(true);
    progress.sent(asIndex(7), 10);
    expect([progress.mayAppend(WINDOW), progress.unanswered, shown(progress)]).toEqual([
      false,
      true,
      "probe 0→5",
    ]);
    progress.stopWaiting();
    expect(progress.mayAppend(WINDOW)).toBe(true);
  });

  test("ends with an acknowledgement, and goes on after it", () => {
    const progress = probing(5);
    progress.sent(asIndex(7), 10);
    progress.appended(asIndex(7));
    expect([shown(progress), progress.unanswered]).toEqual(["replicate 7→8", false]);
  });

  test("goes on where an answer tells of less than it builds on (L5)", () => {
    const progress = probing(9);
    progress.probeFrom(6);
    progress.sent(asIndex(8), 10);
    progress.copied(asIndex(0));
    progress.appended(asIndex(4));
    expect([shown(progress), progress.mayAppend(WINDOW)]).toEqual(["probe 4→6", false]);
    progress.appended(asIndex(5));
    expect(shown(progress)).toBe("replicate 5→6");
  });

  test("steps back, but never behind what matches", () => {
    const progress = replicating(4);
    progress.probeFrom(9);
    expect(shown(progress)).toBe("probe 4→9");
    progress.probeFrom(2);
    expect(shown(progress)).toBe("probe 4→5");
  });
});

describe("replication", () => {
  test("sends ahead, until the window is full of messages", () => {
    const progress = replicating(1);
    for (const last of [2, 3, 4]) {
      expect(progress.mayAppend(WINDOW)).toBe(true);
      progress.sent(asIndex(last), 1);
    }
    expect([progress.mayAppend(WINDOW), shown(progress)]).toEqual([false, "replicate 1→5"]);
  });

  test("sends ahead, until the window is full of bytes", () => {
    const progress = replicating(1);
    progress.sent(asIndex(2), 99);
    expect(progress.mayAppend(WINDOW)).toBe(true);
    progress.sent(asIndex(3), 1);
    expect(progress.mayAppend(WINDOW)).toBe(false);
  });

  test("frees the window up to what was acknowledged", () => {
    const progress = replicating(1);
    for (const last of [2, 4, 6]) progress.sent(asIndex(last), 40);
    progress.appended(asIndex(5));
    expect([progress.mayAppend(WINDOW), shown(progress)]).toEqual([true, "replicate 5→7"]);
    progress.appended(asIndex(6));
    expect(progress.unanswered).toBe(false);
  });

  test("believes the highest acknowledgement, in whatever order they come", () => {
    const progress = replicating(1);
    for (const last of [2, 3, 4]) progress.sent(asIndex(last), 1);
    progress.appended(asIndex(3));
    progress.appended(asIndex(2));
    progress.appended(asIndex(3));
    expect([shown(progress), progress.unanswered]).toEqual(["replicate 3→5", true]);
  });

  test("goes on after an acknowledgement of more than was sent", () => {
    const progress = replicating(1);
    progress.appended(asIndex(8));
    expect(shown(progress)).toBe("replicate 8→9");
  });

  test("does not count a message without entries", () => {
    const progress = replicating(4);
    progress.sent(asIndex(4), 0);
    expect([shown(progress), progress.unanswered]).toEqual(["replicate 4→5", false]);
  });
});

describe("a follower in doubt", () => {
  test("counts for nothing, though it is sent on from what it has copied", () => {
    const progress = doubtful(8);
    expect([shown(progress), progress.promised, progress.doubt]).toEqual(["replicate 8→9", 0, "x"]);
  });

  test("counts again for what it promises, also late, and not for more", () => {
    const progress = doubtful(8);
    progress.appended(asIndex(5));
    expect([shown(progress), progress.promised, progress.doubt]).toEqual([
      "replicate 8→9",
      5,
      null,
    ]);
    progress.appended(asIndex(8));
    expect(progress.promised).toBe(8);
  });
});

describe("a snapshot", () => {
  test("stops everything else, and empties the window", () => {
    const progress = replicating(1);
    progress.sent(asIndex(4), 50);
    progress.startSnapshot(1, asIndex(3));
    expect([progress.mayAppend(WINDOW), progress.unanswered]).toEqual([false, false]);
    expect(() => progress.sent(asIndex(5), 1)).toThrow("appending during a snapshot");
    progress.probeFrom(9);
    expect([shown(progress), progress.mayAppend(WINDOW)]).toEqual(["probe 1→9", true]);
  });
});

describe("a follower keeps up (M9)", () => {
  const LIMIT = 100;
  const note = (progress: Progress, last: number, now: number) => {
    progress.noteRound(asIndex(last), now as Millis, LIMIT);
    return progress.keepsUp;
  };

  test("not before it has what there was when the round began", () => {
    const progress = probing(8);
    expect(note(progress, 9, 50)).toBe(false);
    progress.appended(asIndex(6));
    expect(note(progress, 9, 60)).toBe(false);
    progress.appended(asIndex(7));
    expect(note(progress, 9, 100)).toBe(true);
  });

  test("not if that took longer than the limit, but perhaps in the next round", () => {
    const progress = probing(8);
    progress.appended(asIndex(7));
    expect(note(progress, 30, 101)).toBe(false);
    progress.appended(asIndex(29));
    expect(note(progress, 40, 150)).toBe(false);
    progress.appended(asIndex(30));
    expect(note(progress, 40, 201)).toBe(true);
  });

  test("no longer, when a round takes too long", () => {
    const progress = probing(8);
    progress.appended(asIndex(7));
    expect(note(progress, 20, 10)).toBe(true);
    expect(note(progress, 30, 110)).toBe(true);
    expect(note(progress, 30, 111)).toBe(false);
    // The round goes on until it has what it lacked, and that one was too long.
    progress.appended(asIndex(20));
    expect(note(progress, 40, 112)).toBe(false);
    progress.appended(asIndex(40));
    expect(note(progress, 50, 212)).toBe(true);
  });

  test("as long as there is nothing new", () => {
    const progress = replicating(7);
    expect([note(progress, 7, 90), note(progress, 7, 180), note(progress, 7, 270)]).toEqual([
      true,
      true,
      true,
    ]);
  });

  test("whatever it has copied in doubt", () => {
    const progress = doubtful(8);
    expect(note(progress, 8, 10)).toBe(true);
    progress.forget("y");
    expect([note(progress, 8, 20), note(progress, 8, 111)]).toEqual([true, false]);
  });
});

test("whatever happens: promised <= matched < next, none goes back, the window is bounded", () => {
  const random = new Prng("progress");
  let replicated = 0;
  for (let run = 0; run < 500; run++) {
    const progress = probing(random.between(1, 9));
    for (let i = 0; i < 60; i++) {
      const { matched: before, promised } = progress;
      if (progress.mayAppend(WINDOW)) {
        if (progress.mode === "replicate") replicated += 1;
        progress.sent(asIndex(progress.next - 1 + random.below(4)), random.below(60));
      }
      const any = asIndex(random.below(progress.next + 1));
      const what = random.below(6);
      if (what === 0) progress.appended(any);
      if (what === 1) progress.probeFrom(any);
      if (what === 2 && random.chance(20)) progress.startSnapshot(1, asIndex(3));
      if (what === 3) progress.stopWaiting();
      if (what === 4) progress.copied(any);
      expect(progress.promised).toBeGreaterThanOrEqual(promised);
      expect(progress.promised).toBeLessThanOrEqual(progress.matched);
      expect(progress.matched).toBeLessThan(progress.next);
      expect(progress.matched).toBeGreaterThanOrEqual(before);
      if (progress.mode === "snapshot") expect(progress.unanswered).toBe(false);
    }
  }
  expect(replicated).toBeGreaterThan(1_000);
});
