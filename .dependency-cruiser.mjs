// Who may import whom. The parser is swc, as dependency-cruiser cannot use TypeScript 7; it also sees
// the imports that vanish with the types.

/** Folder → the other folders it may import. Raft and kv never meet: Raft replicates bytes. */
const allowed = {
  lib: [],
  raft: ["lib"],
  kv: ["lib"],
  storage: ["lib", "raft"],
  transport: ["lib", "raft"],
  node: ["lib", "raft", "storage", "kv"],
  watch: ["lib", "kv"],
  service: ["lib", "kv", "raft", "node", "transport", "watch"],
  http: ["lib", "kv", "service", "watch"],
  cli: ["lib", "client"],
  // It is what other programs import, and must stand alone.
  client: [],
};
/** The shell that puts everything together. It and the configuration may import all. */
const top = "^src/(program/|main\\.ts$|config\\.ts$)";

const arrows = Object.entries(allowed).map(([from, to]) => ({
  name: `${from}-imports-only-${to.join("-") || "itself"}`,
  severity: "error",
  from: { path: `^src/${from}/` },
  to: { path: "^src/", pathNot: `^src/(${[from, ...to].join("|")})/` },
}));

/** The only files that may import Node's own modules or packages. */
const shells = `${top}|^src/(cli|client|http|transport)/|/node-[^/]+\\.ts$`;
/** Pure packages, each let into one place of the core. */
const purePackages = [
  { home: "^src/kv/", name: "sorted-btree" },
  { home: "^src/lib/crc32c\\.ts$", name: "crc-32" },
];
const pureNames = purePackages.map(({ name }) => name).join("|");
const anyPackage = "(^|/)node_modules/";

export default {
  forbidden: [
    ...arrows,
    {
      name: "every-folder-has-arrows",
      comment: "A new folder under src needs a line in `allowed`.",
      severity: "error",
      from: { path: "^src/[^/]+/", pathNot: [`^src/(${Object.keys(allowed).join("|")})/`, top] },
      to: {},
    },
    {
      name: "no-cycles",
      comment: "Type-only imports count too.",
      severity: "error",
      from: {},
      to: { circular: true },
    },
    {
      name: "no-orphans",
      severity: "error",
      from: { orphan: true, path: "^src/", pathNot: "^src/main\\.ts$" },
      to: {},
    },
    {
      name: "src-never-imports-test",
      severity: "error",
      from: { path: "^src/" },
      to: { path: "^(test|bench|dev)/" },
    },
    {
      name: "only-shells-touch-the-platform",
      comment: "Node's own modules belong in shells and node-* adapters.",
      severity: "error",
      from: { path: "^src/", pathNot: shells },
      to: { dependencyTypes: ["core"] },
    },
    {
      name: "only-shells-use-packages",
      severity: "error",
      from: { path: "^src/", pathNot: shells },
      to: { path: anyPackage, pathNot: `${anyPackage}(${pureNames})/` },
    },
    ...purePackages.map(({ home, name }) => ({
      name: `${name}-only-at-home`,
      severity: "error",
      from: { path: "^src/", pathNot: home },
      to: { path: `${anyPackage}${name}/` },
    })),
    {
      name: "msgpackr-only-in-transport",
      severity: "error",
      from: { path: "^src/", pathNot: "^src/transport/" },
      to: { path: `${anyPackage}msgpackr/` },
    },
    {
      name: "no-dev-dependencies-in-src",
      severity: "error",
      from: { path: "^src/" },
      to: { dependencyTypes: ["npm-dev", "npm-no-pkg", "npm-unknown"] },
    },
    {
      name: "every-import-resolves",
      comment: "An import that leads nowhere would slip past every other rule.",
      severity: "error",
      from: {},
      to: { couldNotResolve: true },
    },
  ],
  options: {
    parser: "swc",
    doNotFollow: { path: "node_modules" },
    // They run whole programs, and their `await using` is more than the parser's walker knows.
    exclude: { path: "^test/(cli|program|integration|docker|chaos)/" },
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      conditionNames: ["import", "node", "default", "types"],
    },
  },
};
