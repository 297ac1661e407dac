/** Where settings come from, and what is said about those that cannot be. */
import { expect, test } from "vitest";
import {
  ConfigError,
  flagsOf,
  resolveConfig,
  settingsByFlag,
  variableOf,
} from "../../src/config.ts";

type Values = Record<string, string>;

function resolve(given: { flags?: Values; env?: Values; file?: unknown } = {}) {
  const { flags = {}, env = {}, file } = given;
  const text = typeof file === "string" ? file : JSON.stringify(file);
  return resolveConfig({ flags, env, file: file === undefined ? null : { path: "q.json", text } });
}

function complaint(given: Parameters<typeof resolve>[0]): string {
  try {
    resolve(given);
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  return "(none)";
}

const THREE = "n1=http://127.0.0.1:5001,n2=http://127.0.0.1:5002,n3=http://127.0.0.1:5003";

test("without any setting, a single node on loopback", () => {
  expect(resolve()).toEqual({
    name: "n1",
    dataDir: `${process.cwd()}/quorate-data`,
    clientListen: { host: "127.0.0.1", port: 4001 },
    clientUrl: "http://127.0.0.1:4001",
    peerListen: { host: "127.0.0.1", port: 5001 },
    peerUrl: "http://127.0.0.1:5001",
    initialCluster: null,
    join: [],
    heartbeatMs: 50,
    electionMs: 500,
    leaseDrift: null,
    snapshotEntries: 100_000,
    snapshotBytes: 64 * 1024 * 1024,
    logLevel: "info",
    logFormat: "auto",
    statusSeconds: 10,
  });
});

test("a flag comes before the environment, that before the file, and the default last", () => {
  const file = { name: "from-file", "election-ms": 900 };
  const env = { QUORATE_NAME: "from-env" };
  const flags = { name: "from-flag" };
  expect(resolve({ file, env, flags }).name).toBe("from-flag");
  expect(resolve({ file, env }).name).toBe("from-env");
  expect(resolve({ file }).name).toBe("from-file");
  expect(resolve({ file, env, flags }).electionMs).toBe(900);
  expect(resolve({ file: { "election-ms": "900" } }).electionMs).toBe(900);
});

test("an empty environment variable is none", () => {
  expect(resolve({ env: { QUORATE_NAME: "" } }).name).toBe("n1");
});

test("every setting has a variable of its own", () => {
  const variables = [...settingsByFlag.keys()].map(variableOf);
  expect(variables).toContain("QUORATE_CLIENT_LISTEN");
  expect(new Set(variables).size).toBe(settingsByFlag.size);
});

test("URLs follow from what is listened on, and from the cluster", () => {
  const flags = { name: "n2", "initial-cluster": THREE, "client-listen": "[::1]:4444" };
  const config = resolve({ flags: { ...flags, "peer-listen": "0.0.0.0:5002" } });
  expect(config.clientUrl).toBe("http://[::1]:4444");
  expect(config.peerUrl).toBe("http://127.0.0.1:5002");
  expect([...(config.initialCluster?.keys() ?? [])]).toEqual(["n1", "n2", "n3"]);
});

test("a URL is the same with and without a slash at its end", () => {
  expect(resolve({ flags: { "client-url": "http://LOCALHOST:80/" } }).clientUrl).toBe(
    "http://localhost",
  );
});

test.each([
  [{ "heartbeat-ms": "fast" }, '--heartbeat-ms cannot be "fast": use a whole number from 10'],
  [{ "heartbeat-ms": "" }, '--heartbeat-ms cannot be "": use a whole number from 10'],
  [{ "heartbeat-ms": "1e3" }, '--heartbeat-ms cannot be "1e3"'],
  [{ "heartbeat-ms": "-50" }, '--heartbeat-ms cannot be "-50"'],
  [{ "heartbeat-ms": "9" }, '--heartbeat-ms cannot be "9": use a whole number from 10 to 10000'],
  [
    { "election-ms": "249" },
    "--election-ms 249 is too short for --heartbeat-ms 50: use at least 250",
  ],
  ...["abc", "0.1", "-1", "0", "51", "", "5x"].map((text): [Values, string] => [
    { "lease-drift": text },
    `--lease-drift cannot be "${text}": use off, or a whole number from 1 to 50`,
  ]),
  [{ name: "a b" }, '--name cannot be "a b": use 1-64 characters'],
  [{ "data-dir": "" }, '--data-dir cannot be "": name a directory'],
  [{ "client-listen": "4001" }, '--client-listen cannot be "4001": use host:port'],
  [{ "client-listen": "127.0.0.1:65536" }, "--client-listen cannot be"],
  [{ "client-listen": "127.0.0.1:0" }, "--client-listen cannot be"],
  [{ "client-listen": "0.0.0.0:4001" }, "--client-url is needed where a node listens on 0.0.0.0"],
  [{ "peer-listen": "127.0.0.1:4001" }, "--client-listen and --peer-listen both use port 4001"],
  [{ "client-url": "127.0.0.1:4001" }, "--client-url cannot be"],
  [{ "client-url": "http://a/path" }, "--client-url cannot be"],
  [{ "initial-cluster": "n1" }, '--initial-cluster cannot be "n1": use name=url,name=url'],
  [{ "initial-cluster": "n1=http://a:1,n1=http://b:1" }, "--initial-cluster cannot be"],
  [{ "initial-cluster": "n1=http://a:1,n2=http://a:1" }, "--initial-cluster cannot be"],
  [{ "initial-cluster": THREE, name: "n4" }, "lists n1, n2, n3, but not this node: add n4=<url>"],
  [
    { "initial-cluster": THREE, "peer-url": "http://127.0.0.1:5009" },
    "--peer-url is http://127.0.0.1:5009, but --initial-cluster says n1=http://127.0.0.1:5001",
  ],
  [{ "log-level": "loud" }, '--log-level cannot be "loud": use one of debug, info, warn, error'],
])("%j is refused", (flags, expected) => {
  const said = complaint({ flags });
  expect(said).toContain(expected);
  expect(said).not.toContain("\n");
});

test("the place of a bad value is named", () => {
  const env = { QUORATE_HEARTBEAT_MS: "x" };
  expect(complaint({ env })).toMatch(/^QUORATE_HEARTBEAT_MS cannot be "x"/);
  const file = { "heartbeat-ms": "x" };
  expect(complaint({ file })).toMatch(/^"heartbeat-ms" in q.json cannot be "x"/);
});

test.each([
  ["{", "q.json is not JSON"],
  [[], 'q.json must hold an object such as {"name": "n1"}'],
  [{ "data-dirr": "x" }, 'q.json has an unknown key: remove "data-dirr"'],
  [{ dataDir: "x" }, 'q.json has an unknown key: remove "dataDir"'],
  [{ name: true }, '"name" in q.json must be text or a number'],
])("the file %j is refused", (file, expected) => {
  expect(complaint({ file })).toContain(expected);
});

test("--lease-drift is off, or percent", () => {
  const drifts = ["off", "1", "9", "10", "49", "50"].map((text) => {
    return resolve({ flags: { "lease-drift": text } }).leaseDrift;
  });
  expect(drifts).toEqual([null, 1, 9, 10, 49, 50]);
});

test("a configuration can be told as the flags that make it", () => {
  const config = resolve({ flags: { "initial-cluster": THREE, "client-listen": "[::1]:4444" } });
  const words = flagsOf(config).split(" ");
  const pairs = words.flatMap((word, at) =>
    word.startsWith("--") ? [[word.slice(2), words[at + 1] ?? ""]] : [],
  );
  // All but the cluster to join, as this one is founded, and clocks, which need not be trusted.
  expect(pairs).toHaveLength(settingsByFlag.size - 2);
  expect(resolve({ flags: Object.fromEntries(pairs) as Values })).toEqual(config);
});
