/** Whose data directory it is, and how a lost one is noticed (M13). */
import { expect, test } from "vitest";
import { must } from "../../src/lib/assert.ts";
import { join, type NodeIdentity, PeerBook, readIdentity } from "../../src/node/identity.ts";
import { configurationOf } from "../../src/raft/membership.ts";
import type { NodeId } from "../../src/raft/types.ts";
import { DamageError } from "../../src/storage/storage-error.ts";
import { openRig } from "../storage/fixtures.ts";

const n2 = "n2" as NodeId;
const identity: NodeIdentity = {
  cluster: "c",
  id: "n1" as NodeId,
  incarnation: "first",
  joined: false,
  since: 0,
  voters: 2,
  bootstrap: configurationOf({ voters: ["n1", "n2"] as NodeId[] }),
};

const first = { incarnation: "first", since: 0 };
const second = { incarnation: "second", since: 0 };

test("a peer is listened to once its data directory is written down, and to no other", () => {
  const { disk, pump } = openRig();
  const book = new PeerBook(disk);
  expect(book.admit(n2, first)).toBe("later");
  expect(book.admit(n2, first)).toBe("later");
  expect(book.admit(n2, second)).toBe("no");
  let isDurable = false;
  book.record(n2, first, () => {
    isDurable = true;
  });
  expect(isDurable).toBe(false);
  pump.settle();
  expect(isDurable).toBe(true);
  expect(book.admit(n2, first)).toBe("yes");
  expect(book.admit(n2, second)).toBe("no");
  expect(new PeerBook(disk).admit(n2, second)).toBe("no");
  expect(new PeerBook(disk).incarnationOf(n2)).toBe("first");
});

test("who ended a doubt later takes the place of who was known before", () => {
  const { disk, pump } = openRig();
  const book = new PeerBook(disk);
  book.record(n2, first, () => {});
  pump.settle();
  // In doubt it counts for nothing, so it may speak; and it is not written down.
  expect(book.admit(n2, { incarnation: "third", since: null })).toBe("yes");
  expect(book.admit(n2, { incarnation: "third", since: 0 })).toBe("no");
  const third = { incarnation: "third", since: 9 };
  expect(book.admit(n2, third)).toBe("later");
  pump.settle();
  expect(book.admit(n2, third)).toBe("yes");
  expect(book.admit(n2, first)).toBe("no");
  expect(book.admit(n2, { incarnation: "another", since: 5 })).toBe("no");
  expect(new PeerBook(disk).admit(n2, first)).toBe("no");
});

test("one flipped bit of what is known is noticed", () => {
  const { disk, pump, storage } = openRig();
  new PeerBook(disk).record(n2, first, () => {});
  join(disk, { identity, wal: storage.wal }, () => {});
  pump.settle();
  const found = must(readIdentity(disk), "the identity is there");
  expect(found).toEqual({ ...identity, joined: true });
  for (const name of ["identity.json", "peers.json"]) {
    const bytes = disk.read(name);
    for (let bit = 0; bit < 8 * bytes.length; bit++) {
      const flipped = bytes.slice();
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      disk.corrupt(name, flipped);
      // A blank may become another one; what is read is then the same.
      const read = () => [readIdentity(disk), new PeerBook(disk).incarnationOf(n2)];
      let what: unknown;
      try {
        what = read();
      } catch (error) {
        expect(error).toBeInstanceOf(DamageError);
        continue;
      }
      expect(what).toEqual([found, "first"]);
    }
    disk.corrupt(name, bytes);
  }
});
