/** Planted bugs: watches. */
import type { Mutation } from "../mutation.ts";

const catchUp = "src/watch/catch-up.ts";
const live = "src/watch/live.ts";

const tests = ["test/watch"];

export const watch: readonly Mutation[] = [
  {
    id: "K1-progress-ahead-of-events",
    breaks: "Progress is told up to what was applied, ahead of events that are still to be told.",
    edits: [
      {
        file: live,
        from: "const revision = Math.max(watcher.cursor, this.#told);",
        to: "const revision = Math.max(watcher.cursor, this.#noted);",
      },
    ],
    tests,
  },
  {
    id: "K2-in-step-with-another-state",
    breaks: "After a snapshot was installed, watchers go on as if they had seen all that is in it.",
    edits: [
      {
        file: live,
        from: "      for (const watcher of group.inStep) this.#drop(watcher);\n",
        to: "",
      },
    ],
    tests,
  },
  {
    id: "K3-full-and-forgotten",
    breaks: "What a slow watcher could not take in time is never told.",
    edits: [
      {
        file: live,
        from: "if (watcher.cursor < batch.last || watcher.rest !== null) this.#drop(watcher);",
        to: "if (watcher.rest !== null) this.#drop(watcher);",
      },
    ],
    tests,
  },
  {
    id: "K3-half-a-revision",
    breaks: "Of a large revision only the first part is told.",
    edits: [
      {
        file: "src/watch/watcher.ts",
        from: "this.rest = to < batch.events.length ? { batch, from: to } : null;",
        to: "this.rest = null;",
      },
    ],
    tests,
  },
  {
    id: "K8-watches-hold-without-bound",
    breaks: "Watchers are told of changes while others leave no room for what they are told.",
    edits: [
      {
        file: "src/watch/watcher.ts",
        from: "if (!this.isFull) this.isHeldBack = !this.sink.hasRoom();",
        to: "",
      },
    ],
    tests,
  },
  {
    id: "K8-held-back-is-stalled",
    breaks: "A watcher for which others leave no room is closed as if it took nothing.",
    edits: [
      {
        file: "src/watch/watcher.ts",
        from: "this.isHeldBack = !this.sink.hasRoom();",
        to: "this.fullSince = this.sink.hasRoom() ? null : 0;",
      },
    ],
    tests,
  },
  {
    id: "K8-answers-without-bound",
    breaks: "Answers are made, however much of others their clients leave unread.",
    edits: [
      {
        file: "src/http/responses.ts",
        from: "if (body === null || this.unsent.hasRoomFor(Buffer.byteLength(body))) {",
        to: "if (body !== undefined) {",
      },
    ],
    tests: ["test/http/unsent.test.ts"],
  },
  {
    id: "K9-cut-off-and-quiet",
    breaks: "Watches go on for ever at a node that hears of nothing.",
    edits: [
      {
        file: "src/watch/hub.ts",
        from: "const isCutOff = now - this.#ledAt >= this.#limits.leaderlessMs;",
        to: "const isCutOff = false;",
      },
    ],
    tests,
  },
  {
    id: "K4-gap-at-the-compaction",
    breaks: "A watcher that needs the change right before the compaction goes on without it.",
    edits: [
      {
        file: catchUp,
        from: "return cursor + 1 < this.#deps.store.compactRevision;",
        to: "return cursor + 2 < this.#deps.store.compactRevision;",
      },
    ],
    tests,
  },
  {
    id: "K6-told-twice",
    breaks: "A watcher is told what it has seen before it came into step.",
    edits: [
      {
        file: live,
        from: "const wanted = batch.after(watcher.cursor);",
        to: "const wanted = batch;",
      },
    ],
    tests,
  },
];
