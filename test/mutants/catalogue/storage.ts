/** Planted bugs: the log on disk, and the disk itself. */
import type { Mutation } from "../mutation.ts";

const batch = "src/storage/batch.ts";
const nodeDisk = "src/storage/node-disk.ts";
const open = "src/storage/open.ts";
const recovery = "src/storage/recovery.ts";
const wal = "src/storage/wal.ts";

export const storage: readonly Mutation[] = [
  {
    id: "W1-tear-is-left",
    breaks: "What an unfinished append left behind is not cut off.",
    edits: [
      {
        file: open,
        from: "const bytes = disk.read(name, { offset: 0, length });",
        to: "const bytes = disk.read(name);\n  void length;",
      },
    ],
  },
  {
    id: "W1-tear-stops-the-node",
    breaks: "An append that a power cut left unfinished keeps the node from starting.",
    edits: [
      { file: recovery, from: "if (!isLast) return problem(", to: "if (isLast) return problem(" },
    ],
  },
  {
    id: "W2-damage-is-a-tear",
    breaks: "A batch with a wrong checksum is taken for an unfinished append, and cut off.",
    edits: [
      {
        file: batch,
        from: 'return damaged(offset, "the batch\'s checksum is wrong");',
        to: 'return { kind: "torn" };',
      },
    ],
  },
  {
    id: "W2-foreign-sector-is-a-tear",
    breaks: "A sector of another batch is taken for one that was never written.",
    edits: [
      {
        file: batch,
        from: 'if (state === "foreign") return damaged(at,',
        to: "if (state === null) return damaged(at,",
      },
      {
        file: batch,
        from: 'if (state === "blank") complete = false;',
        to: 'if (state !== "written") complete = false;',
      },
    ],
  },
  {
    id: "W2-hole-is-a-tear",
    breaks: "A batch that misses a part is cut off, with all that follows it.",
    edits: [
      {
        file: batch,
        from: "if (file.length > end)\n",
        to: "if (file.length > end + file.length)\n",
      },
    ],
  },
  {
    id: "W2-checksum-not-checked",
    breaks: "What a batch contains is believed without its checksum.",
    edits: [
      {
        file: batch,
        from: "if (crc32c(content) !== header.contentChecksum) {",
        to: "if (crc32c(content) === -1) {",
      },
    ],
  },
  {
    id: "W3-fsync-is-tried-again",
    breaks: "A failed fsync is tried again, and the second one believed.",
    edits: [
      {
        file: nodeDisk,
        from: `fdatasync(fd, (error) => {
      if (this.#hasFailed(error, what)) return;`,
        to: `fdatasync(fd, (error) => {
      if (error !== null) return fdatasync(fd, () => then());`,
      },
    ],
  },
  {
    id: "W3-start-only-syncs",
    breaks: "A start syncs what it has read, which a failed fsync may have made impossible.",
    edits: [
      {
        file: open,
        from: `      disk.append(copy, [bytes], done);
    },
    (done) => disk.rename(copy, name, done),`,
        to: `      disk.append(name, [], bytes.length < 0 ? () => {} : done);
    },`,
      },
    ],
  },
  {
    id: "W3-fsync-error-is-ignored",
    breaks: "A failed fsync is taken for a good one.",
    edits: [
      {
        file: nodeDisk,
        from: `      if (this.#hasFailed(error, what)) return;
      this.#options.onSync?.(performance.now() - start);`,
        to: "      void error;\n      this.#options.onSync?.(performance.now() - start);",
      },
    ],
  },
  {
    id: "W3-acknowledged-before-fsync",
    breaks: "The disk says that an append is durable when it is only written.",
    edits: [
      {
        file: nodeDisk,
        from: `          this.#sync(fd, what, () => {
            if (lane.entered) finish();`,
        to: `          void Promise.resolve(fd).then(() => {
            if (lane.entered) finish();`,
      },
    ],
  },
  {
    id: "W6-new-file-without-directory",
    breaks: "A new file is called durable before its name in the directory is.",
    edits: [
      {
        file: nodeDisk,
        from: "if (lane.entered) finish();\n            else this.#syncDirectory(what, finish);",
        to: "finish();",
      },
    ],
  },
  {
    id: "W6-rename-without-directory",
    breaks: "A file is called renamed for good before the directory is on disk.",
    edits: [
      {
        file: nodeDisk,
        from: `        this.#syncDirectory(what, () => {
          next();
          done();
        });
      });
    });
  }

  remove`,
        to: `        next();
        done();
      });
    });
  }

  remove`,
      },
    ],
  },
  {
    id: "W8-place-is-not-checked",
    breaks: "A batch is believed wherever it is found: no checksum covers its place.",
    edits: [
      {
        file: batch,
        from: `  writer.u64(place.segment);
  writer.u64(place.offset);
  writer.u32(place.chain);
  return asTag`,
        to: "  writer.u32(MAGIC);\n  void place;\n  return asTag",
      },
      {
        file: batch,
        from: "if (reader.u64() !== place.segment || reader.u64() !== place.offset) return null;",
        to: "reader.u64();\n  reader.u64();",
      },
      { file: batch, from: "if (reader.u32() !== place.chain) return null;", to: "reader.u32();" },
    ],
  },
  {
    id: "W8-chain-is-not-checked",
    breaks: "A batch does not say which one it follows, so one may be left out unnoticed.",
    edits: [
      { file: batch, from: "  writer.u32(place.chain);\n  return asTag", to: "  return asTag" },
      { file: batch, from: "if (reader.u32() !== place.chain) return null;", to: "reader.u32();" },
    ],
  },
  {
    id: "W9-segment-without-hard-state",
    breaks: "A new segment does not repeat term and vote, which are lost with the older ones.",
    edits: [
      {
        file: wal,
        from: "? { ...content, hardState: this.hardState, position }",
        to: "? { ...content, hardState: content.hardState ?? NO_STATE, position }",
      },
      {
        file: wal,
        from: "const WRITE_OVERHEAD_BYTES = 128;",
        to: `const WRITE_OVERHEAD_BYTES = 128;
const NO_STATE = { term: 0 as HardState["term"], vote: null };`,
      },
    ],
  },
  {
    id: "W9-segment-used-again",
    breaks: "After a restart the log goes on in the segment that was the last before.",
    edits: [
      { file: recovery, from: "this.sequence = sequence + 1;", to: "this.sequence = sequence;" },
    ],
  },
  {
    id: "W9-gap-between-segments",
    breaks: "A segment that is missing between others is not noticed.",
    edits: [
      {
        file: recovery,
        from: "while (first > 0 && files[first - 1]?.sequence ===",
        to: "while (first > 0 && (files[first - 1]?.sequence ?? 0) <=",
      },
      {
        file: batch,
        from: "const chain = place.chain ?? viewOf(first).getUint32(CHAIN_AT);",
        to: "const chain = viewOf(first).getUint32(CHAIN_AT);",
      },
    ],
  },
  {
    id: "W10-older-vote-wins",
    breaks: "Of two votes in one batch the older is written.",
    edits: [
      {
        file: wal,
        from: "hardState = write.hardState ?? hardState;",
        to: "hardState = hardState ?? write.hardState;",
      },
    ],
  },
  {
    id: "W10-vote-not-recovered",
    breaks: "Recovery finds the term, but not the vote in it.",
    edits: [
      {
        file: recovery,
        from: "    this.hardState = hardState;\n",
        to: "    this.hardState = { ...hardState, vote: null };\n",
      },
    ],
  },
  {
    id: "W14-others-are-told-too",
    breaks: "When an append is durable, writes are told so that are not part of it.",
    edits: [
      {
        file: wal,
        from: "for (const { done } of group) done();",
        to: `for (const { done } of group) done();
        for (const waiting of this.queue) {
          if (waiting.write === null) continue;
          waiting.done();
          Object.assign(waiting, { done: () => {} });
        }`,
      },
    ],
  },
  {
    id: "W14-two-appends-at-once",
    breaks: "An append begins while another is under way.",
    edits: [{ file: wal, from: "if (!this.busy) this.work();", to: "this.work();" }],
  },
  {
    id: "U3-ops-change-places",
    breaks: "An op means another command than it did when older logs were written.",
    edits: [
      {
        file: "src/kv/command.ts",
        from: '  "grant",\n  "renew",\n  "revoke",\n  "expire",\n',
        to: '  "renew",\n  "grant",\n  "revoke",\n  "expire",\n',
      },
    ],
    tests: ["test/golden/golden.test.ts"],
  },
  {
    id: "U4-newer-is-damage",
    breaks: "A log that a newer version has written is taken for damaged, and set aside.",
    edits: [
      {
        file: open,
        from: "  if (log.isNewer) throw new StorageError(log.line);\n",
        to: "  void StorageError;\n",
      },
    ],
    tests: ["test/golden/newer.test.ts"],
  },
];
