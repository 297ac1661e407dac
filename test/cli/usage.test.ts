/** What the command line says to those who use it wrongly, and to those who ask. */
import { expect, test } from "vitest";
import { quorate } from "./run.ts";

const NOBODY = "http://127.0.0.1:1";
const NOBODY_ELSE = "http://127.0.0.1:2";

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
  [["get", ""], "It must have at least one character."],
  [["get", "a", "--timeout", "5"], "Use a time such as 500ms, 30s or 5m."],
  [["get", "a", "--timeout", "1h"], "Use a time of 1ms to 5m."],
  [["get", "a", "--revision", "-1"], "Use a whole number from 1."],
  [["get", "a", "--consistency", "weak"], "Allowed choices are linearizable, lease, stale."],
  [["member", "add", "n4"], "missing required argument 'peer-url'"],
  [["member", "add", "n4", "10.0.0.4"], "Use a URL such as http://10.0.0.4:5001."],
  [["member", "remove", "n 4"], "Use 1-64 characters of A-Z a-z 0-9 . _ -"],
  [["member", "replace", "n1", "n1"], "name two members: the one to go, and the one to stay"],
  [["member", "lsit"], "unknown command 'lsit' (Did you mean list?)"],
  [["leader", "transfer", ""], "Use 1-64 characters of A-Z a-z 0-9 . _ -"],
  [["put", "a", "1", "--ttl", "1ms"], "Use a time of 100ms to 36600d."],
  [["put", "a", "1", "--ttl", "1s", "--lease", "1"], "cannot be used with option '--lease <id>'"],
  [["put", "a", "1", "--if-version", "1.5"], "Use a whole number from 0."],
  [["put", "a", "1", "--if-revision", "0"], "Use a whole number from 1."],
  [["increment", "a", "1e3"], "Use a whole number."],
  [["increment", "a", "9007199254740992"], "Use a whole number."],
  [["del"], "name one: a key, or --prefix, or --all"],
  [["del", "a", "--prefix", "b"], "name one: a key, or --prefix, or --all"],
  [["del", "--prefix", "b", "--all"], "cannot be used with option '--all'"],
  [["del", "--prefix", ""], "It must have at least one character."],
  [["list", "--limit", "0"], "Use a whole number from 1."],
  [["list", "--count", "--limit", "1"], "cannot be used with option '--limit <n>'"],
  [["watch"], "name one: a key, or --prefix"],
  [["watch", "a", "--prefix", "b"], "name one: a key, or --prefix"],
  [["watch", "a", "ls"], "put the program to run behind --"],
  [["watch", "a", "--since", "1", "--initial"], "cannot be used with option '--since <revision>'"],
  [["watch", "a", "--events", "put,set"], "Use put, delete and expire"],
  [["watch", "a", "--initial", "--events", "delete"], "add put to --events"],
  [["lock", "a"], "name what to run behind --, such as: quorate lock a -- make deploy"],
  [["lock", "a", "ls"], "name what to run behind --"],
  [["lock", "", "--", "ls"], "It must have at least one character."],
  [["lock", "a", "--wait", "2m", "--", "ls"], "Use a time of 0s to 1m."],
  [["lock", "a", "--ttl", "soon", "--", "ls"], "Use a time such as 500ms, 30s or 5m."],
  [["lease", "grant"], "missing required argument 'ttl'"],
  [["lease", "renew", "x"], "Use a whole number from 1."],
  [["lease", "grnat"], "unknown command 'grnat' (Did you mean grant?)"],
  [["backup"], "missing required argument 'file'"],
  [["restore"], "missing required argument 'file'"],
  [["restore", "b", "--name", "no name"], "use 1-64 characters of A-Z a-z 0-9 . _ -"],
  [["recover"], "add --i-accept-data-loss"],
  [["txn", "--file", "/nowhere.json"], "cannot read --file /nowhere.json"],
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

const commands = "serve,get,put,del,list,increment,watch,txn,lock,status,lease,member,leader";
const ofLeases = ["grant", "renew", "revoke", "get", "keep-alive"].map((name) => `lease ${name}`);
const ofMembers = ["list", "add", "remove", "promote", "demote", "move", "replace"].map(
  (name) => `member ${name}`,
);
const inGroups = [...ofLeases, ...ofMembers, "leader show", "leader transfer"];

test.each(
  [[], ...[...commands.split(","), ...inGroups].map((words) => words.split(" "))].map((words) => [
    [...words, "--help"],
  ]),
)("%j explains", async (args) => {
  const { code, stdout, stderr } = await quorate(args);
  expect(stdout).toContain("Usage: quorate");
  if (args.length > 1) expect(stdout).toContain("Examples:");
  if (args[0] === "watch" || args[0] === "lock") expect(stdout).toContain(" -- ");
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
});

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
  ["increment", "a"],
  ["list"],
  ["watch", "a", "--timeout", "1s"],
  ["lock", "a", "--wait", "0s", "--timeout", "1s", "--", "pwd"],
  ["lease", "grant", "10s"],
])("%s fails with 3 where nobody listens: certainly nothing was done", async (...args) => {
  const env = { QUORATE_ENDPOINTS: `${NOBODY},${NOBODY_ELSE}` };
  const { code, stdout, stderr } = await quorate(args, { env });
  expect(stderr.match(/ECONNREFUSED/g)).toHaveLength(2);
  expect(stderr).toMatch(/; start a node there, or name others with --endpoints\n$/);
  expect(stdout).toBe("");
  expect(code).toBe(3);
});
