/** What the command line says to those who use it wrongly, and to those who ask. */
import { expect, test } from "vitest";
import { quorate } from "./run.ts";

const NOBODY = "http://127.0.0.1:1";

test.each([
  [["serve", "--heartbeet-ms", "50"], "unknown option '--heartbeet-ms'"],
  [["serve", "--heartbeat-ms"], "argument missing"],
  [["serve", "--heartbeat-ms", "fast"], '--heartbeat-ms cannot be "fast": use a whole number'],
  [["serve", "--heartbeat-ms", "200"], "--election-ms 500 is too short for --heartbeat-ms 200"],
  [["serve", "--config", "/nowhere.json"], "cannot read --config /nowhere.json"],
  [["serve", "now"], "too many arguments"],
  [["sreve"], "unknown command 'sreve'"],
  [["get"], "missing required argument 'key'"],
  [["put", "a"], "missing required argument 'value'"],
  [["get", "a", "--endpoints", "4001"], "Use URLs such as http://127.0.0.1:4001"],
])("%j is wrong usage", async (args, expected) => {
  const { code, stdout, stderr } = await quorate(args);
  expect(stderr).toContain(expected);
  expect(stderr).toMatch(/^quorate: /);
  expect(stdout).toBe("");
  expect(code).toBe(2);
});

test("what is wrong is said in one line, with what may have been meant", async () => {
  const { stderr } = await quorate(["serve", "--electoin-ms", "500"]);
  expect(stderr).toBe("quorate: unknown option '--electoin-ms' (Did you mean --election-ms?)\n");
});

test("a wrong environment variable is named", async () => {
  const { code, stderr } = await quorate(["serve"], { env: { QUORATE_ELECTION_MS: "1" } });
  expect(stderr).toMatch(/^quorate: QUORATE_ELECTION_MS cannot be "1"/);
  expect(code).toBe(2);
});

test.each([[["--help"]], [["serve", "--help"]], [["get", "--help"]], [["put", "--help"]]])(
  "%j explains",
  async (args) => {
    const { code, stdout } = await quorate(args);
    expect(stdout).toContain("Usage: quorate");
    if (args.length > 1) expect(stdout).toContain("Examples:");
    expect(code).toBe(0);
  },
);

test("the help of serve names every setting, its variable and its default", async () => {
  const { stdout } = await quorate(["serve", "--help"]);
  const words = stdout.replace(/\s+/g, " ");
  expect(words).toContain("--client-listen <host:port>");
  expect(words).toContain("(env QUORATE_CLIENT_LISTEN; default 127.0.0.1:4001)");
});

test.each([
  ["get", "a"],
  ["put", "a", "1"],
  ["del", "a"],
])("%s fails with 3 where nobody listens: certainly nothing was done", async (...args) => {
  const env = { QUORATE_ENDPOINTS: `${NOBODY},${NOBODY}` };
  const { code, stdout, stderr } = await quorate(args, { env });
  expect(stderr.match(/ECONNREFUSED/g)).toHaveLength(2);
  expect(stdout).toBe("");
  expect(code).toBe(3);
});
