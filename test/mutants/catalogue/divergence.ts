/** Planted bugs: states that differ, and who finds that out. */
import type { Mutation } from "../mutation.ts";

const check = "src/service/divergence.ts";
const chain = "src/kv/chain.ts";
const checkpoints = "src/kv/checkpoints.ts";
const examinee = "src/service/examinee.ts";
const holder = "src/http/service-holder.ts";
const page = "src/kv/digest-page.ts";
const quarantine = "src/program/quarantine.ts";
const store = "src/kv/store.ts";

const kv = ["test/kv/digest.test.ts"];
const service = ["test/service/divergence.test.ts"];
const integration = ["test/integration/divergence.test.ts"];

export const divergence: readonly Mutation[] = [
  {
    id: "D4-chain-without-results",
    breaks: "The chain covers the commands, and nothing of what came of them.",
    edits: [{ file: chain, from: "    digest.bytes(out.finish());\n", to: "" }],
    tests: kv,
  },
  {
    id: "D4-places-mixed-up",
    breaks: "The chain of an older place is told for one that is forgotten.",
    edits: [
      { file: checkpoints, from: "    if (this.places[at] !== place) return null;\n", to: "" },
    ],
    tests: [...kv, ...service],
  },
  {
    id: "D4-page-without-values",
    breaks: "The walk does not look at the values.",
    edits: [{ file: page, from: "    if (value !== null) digest.bytes(value);\n", to: "" }],
    tests: kv,
  },
  {
    id: "D4-page-tells-what-is-purged",
    breaks: "The digest of a page depends on which deleted keys a node has purged.",
    edits: [
      {
        file: page,
        from: "digest.u32(next === null ? 0 : 1);",
        to: 'digest.bytes(bytesOf(next ?? ""));',
      },
    ],
    tests: kv,
  },
  {
    id: "D4-walk-of-one-page",
    breaks: "The walk looks at the first page, again and again.",
    edits: [
      {
        file: check,
        from: "course.start = own.next ?? FIRST;",
        to: "course.start = FIRST;",
      },
    ],
    tests: service,
  },
  {
    id: "D4-verdict-is-not-told",
    breaks: "The leader finds out who is wrong, and tells nobody.",
    edits: [
      {
        file: check,
        from: "course.verdict = { round, chain, page };",
        to: "course.verdict = null;",
      },
    ],
    tests: service,
  },
  {
    id: "D4-minority-is-right",
    breaks: "What anybody answers is right, whoever says otherwise or nothing.",
    edits: [
      {
        file: check,
        from: 'tally(configuration, votes) === "won"',
        to: 'tally(configuration, votes) !== "lost"',
      },
    ],
    tests: service,
  },
  {
    id: "D4-silence-is-another-state",
    breaks: "A node that has no answer of its own takes the majority's for a contradiction.",
    edits: [
      {
        file: examinee,
        from: "return own !== null && others !== null && own !== others;",
        to: "return others !== null && own !== others;",
      },
    ],
    tests: service,
  },
  {
    id: "D4-verdict-of-another-round",
    breaks: "A verdict about an older question is held against the answer to the last one.",
    edits: [
      {
        file: examinee,
        from: "if (question.term !== term || question.round !== verdict.round) return;",
        to: "if (question.term !== term) return;",
      },
    ],
    tests: service,
  },
  {
    id: "D4-wrong-state-is-served",
    breaks: "A node that is known to be wrong goes on to answer clients.",
    edits: [
      {
        file: holder,
        from: '    if (this.#wrong !== null) throw new ServiceError("CORRUPT", this.#wrong);\n',
        to: "",
      },
    ],
    tests: integration,
  },
  {
    id: "D4-wrong-leader-leads-on",
    breaks: "A leader that is known to be wrong goes on leading.",
    edits: [{ file: quarantine, from: "  parts.opened.node.retire();\n", to: "" }],
    tests: integration,
  },
  {
    id: "D4-restart-forgets",
    breaks: "A node that was found to be wrong is forgiven by a restart.",
    edits: [
      {
        file: quarantine,
        from: "disk.list().includes(QUARANTINE_FILE)",
        to: "disk.list().includes(`another-${QUARANTINE_FILE}`)",
      },
    ],
    tests: integration,
  },
  {
    id: "D5-chain-begins-anew",
    breaks: "A restored node begins the chain of its state anew.",
    edits: [{ file: store, from: "      this.chain = new Chain({ commands, chain });\n", to: "" }],
    tests: ["test/kv"],
  },
  {
    id: "D5-chain-of-a-later-moment",
    breaks: "A snapshot has the chain of when it is written, and not of when it was frozen.",
    edits: [{ file: chain, from: "chain: this.digest.copy()", to: "chain: this.digest" }],
    tests: kv,
  },
];
