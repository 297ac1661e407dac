/** House rules that neither the compiler, the linter nor the boundary checker can express. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";

interface Source {
  readonly path: string;
  readonly text: string;
  /** The text without comments and string contents, on the same lines. */
  readonly code: string;
}

interface Ban {
  readonly word: RegExp;
  readonly why: string;
}

const root = join(import.meta.dirname, "..");
const sources = ["src", "test", "bench", "dev"].flatMap(filesIn).map(load);
const inSrc = sources.filter((source) => source.path.startsWith("src/"));
const inKv = sources.filter((source) => source.path.startsWith("src/kv/"));
const inTests = sources.filter((source) => source.path.startsWith("test/"));
const pure = inSrc.filter(
  ({ path }) => /^src\/(lib|raft|kv|node|storage)\//.test(path) && !/\/node-[^/]+\.ts$/.test(path),
);

const bannedInSrc: readonly Ban[] = [
  { word: /\bas any\b/, why: "say what it is" },
  { word: /\blocaleCompare\b/, why: "order by bytes, not by locale" },
];
const bannedInPure: readonly Ban[] = [
  { word: /\bDate\b/, why: "take `now` as an argument" },
  { word: /\bMath\.random\b/, why: "use the Random interface" },
  { word: /\b(set(Timeout|Interval|Immediate)|queueMicrotask)\b/, why: "use the Runtime port" },
  { word: /\b(async|await|Promise)\b/, why: "promises begin in src/service" },
];
const bannedInKv: readonly Ban[] = [
  { word: /\bObject\.(keys|values|entries)\(/, why: "object-key order: use a Map" },
  { word: /\bfor \(const \w+ in /, why: "object-key order: use a Map" },
];

function filesIn(folder: string): string[] {
  if (!existsSync(join(root, folder))) return [];
  const names = readdirSync(join(root, folder), { recursive: true, encoding: "utf8" });
  return names.filter((name) => name.endsWith(".ts")).map((name) => `${folder}/${name}`);
}

function load(path: string): Source {
  const text = readFileSync(join(root, path), "utf8");
  return { path, text, code: blankOut(text) };
}

/** Blanks comments and quoted strings. Templates stay: code may hide in them. */
function blankOut(text: string): string {
  const tokens =
    /(`(?:\\[^]|[^`\\])*`)|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|\/\/[^\n]*|\/\*[^]*?\*\//g;
  return text.replace(tokens, (token, template?: string) => {
    return template ?? token.replace(/[^\n]/g, " ");
  });
}

/** Every line that matches, as `path:line: why`. */
function matches(among: readonly Source[], field: "text" | "code", ban: Ban): string[] {
  return among.flatMap((source) =>
    source[field]
      .split("\n")
      .flatMap((line, at) => (ban.word.test(line) ? [`${source.path}:${at + 1}: ${ban.why}`] : [])),
  );
}

function violations(among: readonly Source[], bans: readonly Ban[]): string[] {
  return bans.flatMap((ban) => matches(among, "code", ban));
}

function lineCount(text: string): number {
  return text.trimEnd().split("\n").length;
}

function idsIn(text: string): string[] {
  return [...new Set(text.match(/\bI\d{1,2}\b/g))].sort();
}

describe("every file", () => {
  test("keeps to 100 columns", () => {
    expect(matches(sources, "text", { word: /^.{101,}$/u, why: "too long" })).toEqual([]);
  });

  test("keeps to 500 lines, tests to 600", () => {
    const limit = (path: string) => (path.startsWith("src/") ? 500 : 600);
    const tooLong = sources.filter(({ path, text }) => lineCount(text) > limit(path));
    expect(tooLong.map(({ path }) => path)).toEqual([]);
  });

  test("starts with a doc comment that says what it is for", () => {
    const bare = sources.filter(({ text }) => !/^(#![^\n]*\n)?\/\*\*/.test(text));
    expect(bare.map(({ path }) => path)).toEqual([]);
  });

  test("leaves nothing half done", () => {
    const reminder = { word: /\b(TO{1}DO|FIX{1}ME)\b/, why: "finish it or leave it out" };
    const ignored = { word: /@ts-(ignore|nocheck)/, why: "mend the type" };
    const focused = { word: /\.only\(/, why: "the other tests would not run" };
    const found = [
      ...matches(sources, "text", reminder),
      ...matches(inSrc, "text", ignored),
      ...matches(sources, "code", focused),
    ];
    expect(found).toEqual([]);
  });
});

test("src uses no banned words", () => {
  expect(violations(inSrc, bannedInSrc)).toEqual([]);
});

test("the core is synchronous and deterministic", () => {
  expect(violations(pure, bannedInPure)).toEqual([]);
  expect(violations(inKv, bannedInKv)).toEqual([]);
});

describe("documents", () => {
  const documents = ["README.md", "docs/ARCHITECTURE.md"].filter((path) =>
    existsSync(join(root, path)),
  );
  const invariants = join(root, "docs/INVARIANTS.md");

  test.each(documents)("%s names only files that exist", (document) => {
    const text = readFileSync(join(root, document), "utf8");
    const named = [...text.matchAll(/`((?:src|test|bench|dev|docs)\/[\w./-]*)`/g)].map(
      ([, p]) => p,
    );
    expect(named.filter((path) => path && !existsSync(join(root, path)))).toEqual([]);
  });

  test.skipIf(!existsSync(invariants))("every invariant has a test, and the reverse", () => {
    const promised = idsIn(readFileSync(invariants, "utf8"));
    expect(idsIn(inTests.map(({ text }) => text).join("\n"))).toEqual(promised);
  });
});
