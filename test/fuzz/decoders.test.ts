/**
 * Every decoder of bytes from outside, fed with damaged inputs (D2, L18, W1): they refuse what
 * makes no sense in the one way they may, at once, and what they accept means what it meant.
 */
import { describe, expect, test } from "vitest";
import { bytesOf, MalformedError } from "../../src/lib/bytes.ts";
import { crc32c } from "../../src/lib/crc32c.ts";
import { Prng } from "../../src/lib/random.ts";
import { decodeEntry, makeEntry } from "../../src/raft/entry.ts";
import { configurationOf } from "../../src/raft/membership.ts";
import type { ClusterTime, Index, NodeId, Term } from "../../src/raft/types.ts";
import { SnapshotEncoder, SnapshotScanner } from "../../src/storage/snapshot-format.ts";
import { appendOf, n1, n2 } from "../transport/arbitrary.ts";
import { decodeMessages, encodeMessages } from "../../src/transport/codec.ts";
import { Mutator } from "./mutator.ts";
import { peerTargets } from "./peer-targets.ts";
import { assertPrototypesAreClean, Fuzz, fuzzAll, reduce } from "./runner.ts";
import { storageTargets } from "./storage-targets.ts";
import type { Target } from "./target.ts";

const SECONDS = Number(process.env["FUZZ_SECONDS"] ?? 15);

test(
  `damaged inputs for ${SECONDS} s`,
  () => {
    const tallies = fuzzAll([...peerTargets, ...storageTargets], { seed: "ci", seconds: SECONDS });
    const inputs = tallies.reduce((sum, tally) => sum + tally.inputs, 0);
    console.info(`${inputs} damaged inputs over ${tallies.length} decoders`);
    for (const { name, accepted, inputs: count } of tallies) {
      // Some damage is harmless, and some is not: else the fuzzer tests nothing.
      expect(accepted, name).toBeGreaterThan(0);
      expect(accepted, name).toBeLessThan(count);
    }
  },
  SECONDS * 1_000 + 30_000,
);

describe("what was found once", () => {
  const at = { index: 4 as Index, term: 7 as Term, time: 0 as ClusterTime };

  test("an entry that is no configuration, though it says so", () => {
    const entry = makeEntry({ ...at, kind: "config", data: Uint8Array.of(0x7f) });
    expect(() => decodeEntry(entry.bytes)).toThrow(MalformedError);
    const append = { ...appendOf(3, []), entries: [entry] };
    const body = encodeMessages([append as ReturnType<typeof appendOf>]);
    expect(() => decodeMessages(body, { from: n1, to: n2 })).toThrow(MalformedError);
  });

  const headerOf = (names: readonly string[]) => {
    const configuration = configurationOf({ voters: names as NodeId[] });
    return new SnapshotEncoder({ ...at, configuration }).header();
  };

  test("a snapshot of a cluster in which nobody decides", () => {
    expect(() => new SnapshotScanner().push(headerOf([]))).toThrow(MalformedError);
  });

  test("a snapshot of a cluster in which a node counts twice", () => {
    const header = headerOf(["n1", "n2", "n3"]);
    new SnapshotScanner().push(header);
    // No code of ours would write that, so the name of the last one is replaced by hand.
    const name = Buffer.from(header).lastIndexOf("n3");
    header.set(bytesOf("n2"), name);
    const meta = header.subarray(16);
    new DataView(header.buffer, header.byteOffset).setUint32(12, crc32c(meta));
    expect(() => new SnapshotScanner().push(header)).toThrow("n2 is not in its place");
  });
});

describe("the fuzzer itself", () => {
  const bytes = Uint8Array.from({ length: 30 }, (_, i) => i);
  const broken = (run: Target["run"]): Target => {
    return { name: "broken", next: (mutator) => mutator.bytes(bytes, bytes), run };
  };

  test("one seed is one sequence of inputs", () => {
    const inputs = [1, 2].map(() => {
      const mutator = new Mutator(new Prng("same"));
      return Array.from({ length: 500 }, () => Buffer.from(mutator.bytes(bytes, bytes)));
    });
    expect(inputs[0]).toEqual(inputs[1]);
  });

  test("finds an error that is not the documented one, and reduces its input", () => {
    const target = broken((input) => {
      if (input.includes(0x7f)) throw new RangeError("out of range");
      return true;
    });
    const hunt = () => {
      const fuzz = new Fuzz(target, "1");
      for (let i = 0; i < 100; i++) fuzz.batch();
    };
    expect(hunt).toThrow("broken, seed 1: RangeError: out of range; 1 bytes: 7f");
  });

  test("finds an input that takes too long", () => {
    const target = broken(() => {
      const endsAt = performance.now() + 60;
      while (performance.now() < endsAt);
      return true;
    });
    expect(() => new Fuzz(target, "1").batch()).toThrow("it takes too long");
  });

  test("finds a changed prototype", () => {
    assertPrototypesAreClean();
    Object.assign(Object.prototype, { x: 1 });
    try {
      expect(assertPrototypesAreClean).toThrow("a prototype was changed");
    } finally {
      Reflect.deleteProperty(Object.prototype, "x");
    }
  });

  test("reduces to what matters", () => {
    const reduced = reduce(bytes, (smaller) => smaller.includes(3) && smaller.includes(17));
    expect([...reduced]).toEqual([3, 17]);
  });
});
