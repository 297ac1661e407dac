/** Planted bugs: snapshots, and lost data directories. */
import type { Mutation } from "../mutation.ts";

const files = "src/storage/snapshot-files.ts";
const follower = "src/raft/follower.ts";
const format = "src/storage/snapshot-format.ts";
const identity = "src/node/identity.ts";
const repair = "src/node/repair.ts";
const leader = "src/raft/leader.ts";
const log = "src/raft/log.ts";
const open = "src/storage/open.ts";
const raft = "src/raft/raft.ts";
const sending = "src/node/snapshots.ts";
const store = "src/storage/snapshots.ts";
const wal = "src/storage/wal.ts";

const identityTests = ["test/node", "test/program/members/first-start.test.ts"];
const repairTests = ["test/repair/crash.test.ts"];

export const snapshots: readonly Mutation[] = [
  {
    id: "S1-counts-before-it-is-whole",
    breaks: "A snapshot gets its final name when its first part is on disk.",
    edits: [
      {
        file: store,
        from: "else if (isLast) done(this.bytes);",
        to: "else if (isLast || this.bytes > 0) done(this.bytes);",
      },
    ],
  },
  {
    id: "S1-taken-before-it-has-its-name",
    breaks: "Raft takes a received snapshot before the file has its name for good.",
    edits: [
      {
        file: sending,
        from: `    store.adopt(incoming.fileName, { meta, bytes }, () => {
      onEvent({ type: "received", index: meta.index, from });`,
        to: `    store.adopt(incoming.fileName, { meta, bytes }, () => {});
    const atOnce = (run: () => void) => run();
    atOnce(() => {
      onEvent({ type: "received", index: meta.index, from });`,
      },
    ],
    tests: ["test/node"],
  },
  {
    id: "S2-log-goes-before-the-snapshot",
    breaks: "The log is removed when a snapshot is begun, before it is durable.",
    edits: [
      {
        file: sending,
        from: "    const frozen = machine.freeze();\n",
        to: "    const frozen = machine.freeze();\n    wal.release(meta.index);\n",
      },
    ],
  },
  {
    id: "S2-log-only-behind-the-newest",
    breaks: "The log goes on from the newest snapshot only: if that is damaged, nothing helps.",
    edits: [
      {
        file: store,
        from: "return this.kept[KEPT - 1]?.index ?? asIndex(0);",
        to: "return this.kept[0]?.index ?? asIndex(0);",
      },
    ],
  },
  {
    id: "S2-one-entry-too-many",
    breaks: "A segment is removed whose last entry no snapshot covers.",
    edits: [
      {
        file: wal,
        from: "oldest.lastIndex > this.released) return;",
        to: "oldest.lastIndex > this.released + 1) return;",
      },
    ],
  },
  {
    id: "S2-gap-is-not-noticed",
    breaks: "A node starts though entries are missing between its snapshot and its log.",
    edits: [
      { file: open, from: "if (base.index <= reached) return;", to: "if (reached >= 0) return;" },
    ],
  },
  {
    id: "S2-replaced-log-stays",
    breaks: "A log that a snapshot has replaced is appended to without saying so.",
    edits: [{ file: open, from: "reset: isReplaced ? base : null,", to: "reset: null," }],
  },
  {
    id: "S3-conflicting-suffix-stays",
    breaks: "A follower that takes a snapshot keeps entries that conflict with it.",
    edits: [
      {
        file: follower,
        from: "if (log.has(m.meta.index, m.meta.term)) {",
        to: "if (log.lastIndex >= m.meta.index) {",
      },
    ],
  },
  {
    id: "S3-matching-suffix-is-dropped",
    breaks: "A follower that takes a snapshot drops the acknowledged entries after it.",
    edits: [
      {
        file: follower,
        from: "if (log.has(m.meta.index, m.meta.term)) {",
        to: "if (log.has(m.meta.index, m.meta.term) && log.lastIndex === m.meta.index) {",
      },
    ],
  },
  {
    id: "S4-older-snapshot-is-taken",
    breaks: "A late snapshot replaces a newer state.",
    edits: [
      {
        file: follower,
        from: "if (m.meta.index <= log.committed) return",
        to: "if (m.meta.index < 0) return",
      },
      {
        file: log,
        from: "assert(meta.index > this.committed,",
        to: "assert(meta.index >= 0,",
      },
    ],
  },
  {
    id: "S4-own-snapshot-goes-back",
    breaks: "A snapshot of its own that is done late replaces a newer one that was received.",
    edits: [
      {
        file: raft,
        from: "  if (core.snapshot !== null && meta.index < core.snapshot.index) return;\n",
        to: "",
      },
    ],
  },
  {
    id: "S5-failed-transfer-is-for-ever",
    breaks: "A leader whose snapshot did not arrive never sends to that follower again.",
    edits: [
      {
        file: leader,
        from: 'if (progress?.mode !== "snapshot" || progress.transfer !== result.transfer) return;',
        to: 'if (progress?.mode !== "snapshot" || !result.ok) return;',
      },
    ],
  },
  {
    id: "S5-any-transfer-ends-the-newest",
    breaks:
      "That an older transfer was ended for a newer one is taken for the newer one's failure.",
    edits: [
      {
        file: leader,
        from: 'if (progress?.mode !== "snapshot" || progress.transfer !== result.transfer) return;',
        to: 'if (progress?.mode !== "snapshot") return;',
      },
    ],
  },
  {
    id: "S5-log-runs-away",
    breaks: "The log forgets what a follower lacks that has just got a snapshot.",
    edits: [
      {
        file: "src/raft/raft.ts",
        from: 'const keeps = role.kind === "leader" && !isUrgent;',
        to: 'const keeps = role.kind === "leader" && !isUrgent && core.transfers < 0;',
      },
    ],
  },
  {
    id: "S8-chunk-is-not-checked",
    breaks: "Parts of a snapshot are believed without their checksums.",
    edits: [
      {
        file: format,
        from: "if (crc32c(bytes) !== this.crc) {\n      throw new MalformedError(`the checksum",
        to: "if (crc32c(bytes) === -1) {\n      throw new MalformedError(`the checksum",
      },
    ],
  },
  {
    id: "S8-cut-off-snapshot-counts",
    breaks: "A snapshot file that ends too early is taken for a whole one.",
    edits: [
      {
        file: format,
        from: 'if (this.next !== "nothing" || this.found === null) {',
        to: "if (this.found === null) {",
      },
    ],
  },
  {
    id: "S8-name-is-not-checked",
    breaks: "A snapshot is believed under the name of another.",
    edits: [
      {
        file: files,
        from: "if (snapshotName(meta) !== name) throw",
        to: 'if (snapshotName(meta) === "") throw',
      },
    ],
  },
  {
    id: "M13-lost-disk-starts-again",
    breaks: "A node with an empty directory takes part, though others know another one of it.",
    edits: [
      {
        file: identity,
        from: "if (known.some((other) => other !== null && other !== self.incarnation)) return",
        to: "if (known.some((other) => other === self.incarnation)) return",
      },
    ],
    tests: [...identityTests, "test/integration/data.test.ts"],
  },
  {
    id: "M13-too-few-are-asked",
    breaks: "A node with an empty directory starts when one peer has never heard of it.",
    edits: [
      {
        file: identity,
        from: "Math.min(majority(self.voters.length), self.voters.length - 1)",
        to: "Math.min(1, majority(self.voters.length))",
      },
    ],
    tests: identityTests,
  },
  {
    id: "M13-other-directory-is-heard",
    breaks: "A peer is listened to though its data directory is another than before.",
    edits: [
      {
        file: identity,
        from: 'if (known.incarnation !== incarnation) return "no";',
        to: "void incarnation;",
      },
    ],
    tests: identityTests,
  },
  {
    id: "M13-heard-before-written-down",
    breaks: "A peer is listened to before its data directory is written down.",
    edits: [
      {
        file: identity,
        from: 'return this.durable.get(from) === known ? "yes" : "later";',
        to: 'return this.known.has(from) ? "yes" : "later";',
      },
    ],
    tests: identityTests,
  },
  {
    id: "M13-missing-log-starts-again",
    breaks: "A node that has lost its log begins with an empty one.",
    edits: [
      {
        file: repair,
        from: "needsLog && !hasLog(disk)",
        to: "needsLog && disk.list().length === 0",
      },
    ],
    tests: repairTests,
  },
  {
    id: "M13-older-incarnation-is-heard",
    breaks: "A data directory that was replaced long ago is listened to again.",
    edits: [
      {
        file: identity,
        from: "if (known === undefined || since > known.since) {",
        to: "if (known === undefined || (since > 0 && since !== known.since)) {",
      },
    ],
    tests: identityTests,
  },
  {
    id: "M13-doubt-is-forgotten",
    breaks: "A node that restarts in doubt is certain.",
    edits: [
      {
        file: repair,
        from: "const doubt = identity.since === null ? identity.incarnation : null;",
        to: "const doubt = null;",
      },
    ],
    tests: repairTests,
  },
  {
    id: "W2-set-aside-before-the-doubt",
    breaks: "A damaged log is out of the way before it is on disk that the node is in doubt.",
    edits: [
      {
        file: repair,
        from: `      writeIdentity(disk, doubtful, () =>
        setAside(disk, "log", () => attempt(doubtful, opened.message)),
      );`,
        to: `      setAside(disk, "log", () =>
        writeIdentity(disk, doubtful, () => attempt(doubtful, opened.message)),
      );`,
      },
    ],
    tests: repairTests,
  },
];
