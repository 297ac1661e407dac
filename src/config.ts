/**
 * Configuration: one table of settings, each a flag, an environment variable and a key of a file.
 * A flag comes before the environment, that before the file, and that before the default.
 */
import { resolve } from "node:path";
import { z } from "zod";
import {
  type Address,
  address,
  cluster,
  hostAndPort,
  nodeName,
  origin,
  origins,
  wholeNumber,
} from "./program/config-values.ts";
import type { NodeId } from "./raft/types.ts";

/** Everything that a node is told by its operator. Complete: nothing further in has defaults. */
export interface Config {
  readonly name: NodeId;
  /** Absolute. */
  readonly dataDir: string;
  readonly clientListen: Address;
  /** Where clients find this node: told to those who ask another one for the leader. */
  readonly clientUrl: string;
  readonly peerListen: Address;
  readonly peerUrl: string;
  /** The peer URLs of all founders, this node among them. Null: not told. */
  readonly initialCluster: ReadonlyMap<NodeId, string> | null;
  /** Client URLs of members of a cluster to join; empty: none. */
  readonly join: readonly string[];
  readonly heartbeatMs: number;
  /** Elections start after a silence of between once and twice this. */
  readonly electionMs: number;
  /**
   * By how many percent clocks may differ in speed, at most, for reads to be answered by a lease;
   * null: they never are.
   */
  readonly leaseDrift: number | null;
  readonly snapshotEntries: number;
  readonly snapshotBytes: number;
  readonly logLevel: (typeof LOG_LEVELS)[number];
  readonly logFormat: (typeof LOG_FORMATS)[number];
  /** How often a line says how the node is doing. */
  readonly statusSeconds: number;
}

/** The configuration cannot be used. The message is one clear line that says what to do. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
}

/** One setting, as its operator sees it. */
export interface Setting {
  /** What stands for its value in the help. */
  readonly value: string;
  readonly help: string;
  /** As it would be written, or in words where it follows from others. */
  readonly byDefault: string;
}

/** Where values may come from. Null or absent: not given there. */
export interface ConfigSources {
  readonly flags: Readonly<Record<string, string | undefined>>;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The text of the file, and its path. */
  readonly file: { readonly path: string; readonly text: string } | null;
}

const LOG_LEVELS = ["debug", "info", "warn", "error"] as const;
const LOG_FORMATS = ["auto", "pretty", "json"] as const;
/** An election must survive a few lost heartbeats. */
const HEARTBEATS_PER_ELECTION = 5;

/** A key is the flag without its dashes, in camel case. Each `parse` reads text. */
const settings = {
  name: {
    value: "name",
    help: "this node's name, unlike that of any other member",
    byDefault: "n1",
    parse: nodeName(),
  },
  dataDir: {
    value: "path",
    help: "where this node alone keeps its data",
    byDefault: "./quorate-data",
    parse: z
      .string()
      .min(1, "name a directory")
      .transform((path) => resolve(path)),
  },
  clientListen: {
    value: "host:port",
    help: "the address to serve clients on",
    byDefault: "127.0.0.1:4001",
    parse: address(),
  },
  clientUrl: {
    value: "url",
    help: "how clients reach this node",
    byDefault: "http://<client-listen>",
    parse: origin(),
  },
  peerListen: {
    value: "host:port",
    help: "the address to serve the other nodes on",
    byDefault: "127.0.0.1:5001",
    parse: address(),
  },
  peerUrl: {
    value: "url",
    help: "how the other nodes reach this one",
    byDefault: "as in --initial-cluster, else http://<peer-listen>",
    parse: origin(),
  },
  initialCluster: {
    value: "name=url,…",
    help: "found a cluster: the peer URLs of all members, the same on every node",
    byDefault: "this node alone",
    parse: cluster(),
  },
  join: {
    value: "url,…",
    help: "join a running cluster instead: the client URL of any member",
    byDefault: "none",
    parse: origins(),
  },
  heartbeatMs: {
    value: "ms",
    help: "how often a leader shows that it is there",
    byDefault: "50",
    parse: wholeNumber(10, 10_000),
  },
  electionMs: {
    value: "ms",
    help: "elect a new leader after a silence of once to twice this",
    byDefault: "500",
    parse: wholeNumber(50, 100_000),
  },
  leaseDrift: {
    value: "percent",
    help: "let the leader answer reads by itself, if no two clocks differ more in speed; or off",
    byDefault: "off",
    parse: z
      .string()
      .regex(/^(off|[1-9]|[1-4]\d|50)$/, "use off, or a whole number from 1 to 50")
      .transform((text) => (text === "off" ? null : Number(text))),
  },
  snapshotEntries: {
    value: "count",
    help: "write a snapshot after so many log entries",
    byDefault: "100000",
    parse: wholeNumber(1, 100_000_000),
  },
  snapshotBytes: {
    value: "bytes",
    help: "or after so many bytes of log; four times this stops writes",
    byDefault: String(64 * 1024 * 1024),
    parse: wholeNumber(1024 * 1024, 1024 * 1024 * 1024),
  },
  logLevel: {
    value: "level",
    help: `the least important lines to log: ${LOG_LEVELS.join(", ")}`,
    byDefault: "info",
    parse: z.enum(LOG_LEVELS, `use one of ${LOG_LEVELS.join(", ")}`),
  },
  logFormat: {
    value: "format",
    help: "json, pretty, or auto: pretty on a terminal",
    byDefault: "auto",
    parse: z.enum(LOG_FORMATS, `use one of ${LOG_FORMATS.join(", ")}`),
  },
  statusSeconds: {
    value: "seconds",
    help: "log how the node is doing so often",
    byDefault: "10",
    parse: wholeNumber(1, 86_400),
  },
} as const satisfies Record<string, Setting & { readonly parse: z.ZodType }>;

type Key = keyof typeof settings;
/** What was given for a setting, and where. */
type Given = { readonly text: string; readonly where: string };

/** The settings by their flags, in the order of the help. */
export const settingsByFlag: ReadonlyMap<string, Setting> = new Map(
  keys().map((key) => [flagOf(key), settings[key]]),
);

/** The environment variable that stands for a flag such as `data-dir`. */
export function variableOf(flag: string): string {
  return `QUORATE_${flag.replaceAll("-", "_").toUpperCase()}`;
}

/** The configuration that the sources amount to. Throws ConfigError where they make none. */
export function resolveConfig(sources: ConfigSources): Config {
  const file = sources.file === null ? {} : readFile(sources.file);
  const given = (key: Key): Given | null => {
    const flag = flagOf(key);
    const variable = variableOf(flag);
    const fromFlag = sources.flags[flag];
    if (fromFlag !== undefined) return { text: fromFlag, where: `--${flag}` };
    const fromEnv = sources.env[variable];
    if (fromEnv !== undefined && fromEnv !== "") return { text: fromEnv, where: variable };
    const fromFile = file[flag];
    if (fromFile === undefined) return null;
    return { text: fromFile, where: `"${flag}" in ${sources.file?.path}` };
  };
  const config = complete(given);
  checkRelations(config);
  return config;
}

/** The configuration as the flags that would make it. */
export function flagsOf(config: Config): string {
  return keys()
    .map((key) => ({ key, text: textOf(config[key]) }))
    .filter(({ text }) => text !== "")
    .map(({ key, text }) => `--${flagOf(key)} ${text}`)
    .join(" ");
}

function textOf(value: Config[Key]): string {
  if (value === null) return "";
  if (typeof value !== "object") return String(value);
  if ("port" in value) return hostAndPort(value);
  if (Array.isArray(value)) return value.join(",");
  return [...(value as ReadonlyMap<NodeId, string>)]
    .map(([name, url]) => `${name}=${url}`)
    .join(",");
}

function complete(given: (key: Key) => Given | null): Config {
  const read = <K extends Key>(key: K) => parse(key, given(key) ?? standard(key));
  const readOrNull = <K extends Key>(key: K) => {
    const found = given(key);
    return found === null ? null : parse(key, found);
  };
  const name = read("name");
  const clientListen = read("clientListen");
  const peerListen = read("peerListen");
  const initialCluster = readOrNull("initialCluster");
  const peerUrl =
    readOrNull("peerUrl") ?? initialCluster?.get(name) ?? urlOf(peerListen, "--peer-url");
  return Object.freeze({
    name,
    dataDir: read("dataDir"),
    clientListen,
    clientUrl: readOrNull("clientUrl") ?? urlOf(clientListen, "--client-url"),
    peerListen,
    peerUrl,
    initialCluster,
    join: readOrNull("join") ?? [],
    heartbeatMs: read("heartbeatMs"),
    electionMs: read("electionMs"),
    leaseDrift: read("leaseDrift"),
    snapshotEntries: read("snapshotEntries"),
    snapshotBytes: read("snapshotBytes"),
    logLevel: read("logLevel"),
    logFormat: read("logFormat"),
    statusSeconds: read("statusSeconds"),
  });
}

/** What no setting can see by itself. */
function checkRelations(config: Config): void {
  const { name, heartbeatMs, electionMs, initialCluster, peerUrl } = config;
  if (electionMs < HEARTBEATS_PER_ELECTION * heartbeatMs) {
    throw new ConfigError(
      `--election-ms ${electionMs} is too short for --heartbeat-ms ${heartbeatMs}: ` +
        `use at least ${HEARTBEATS_PER_ELECTION * heartbeatMs}`,
    );
  }
  if (initialCluster !== null) checkFounders({ name, peerUrl, initialCluster });
  if (initialCluster !== null && config.join.length > 0) {
    throw new ConfigError(
      "--join and --initial-cluster cannot go together: a node joins a cluster, or founds one",
    );
  }
  if (config.clientListen.port === config.peerListen.port) {
    throw new ConfigError(
      `--client-listen and --peer-listen both use port ${config.peerListen.port}: choose two`,
    );
  }
}

function checkFounders(about: {
  readonly name: NodeId;
  readonly peerUrl: string;
  readonly initialCluster: ReadonlyMap<NodeId, string>;
}): void {
  const { name, peerUrl, initialCluster } = about;
  const listed = initialCluster.get(name);
  if (listed === undefined) {
    const names = [...initialCluster.keys()].join(", ");
    throw new ConfigError(`--initial-cluster lists ${names}, but not this node: add ${name}=<url>`);
  }
  if (listed !== peerUrl) {
    throw new ConfigError(
      `--peer-url is ${peerUrl}, but --initial-cluster says ${name}=${listed}: make them equal`,
    );
  }
}

function readFile({ path, text }: { path: string; text: string }): Record<string, string> {
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch (cause) {
    throw new ConfigError(`${path} is not JSON: ${(cause as Error).message}`, { cause });
  }
  const shape = Object.fromEntries(
    keys().map((key) => [flagOf(key), z.union([z.string(), z.number().transform(String)])]),
  );
  const parsed = z.strictObject(shape).partial().safeParse(content);
  if (parsed.success) return definedOnly(parsed.data);
  const issue = parsed.error.issues[0];
  if (issue?.code === "unrecognized_keys") {
    throw new ConfigError(`${path} has an unknown key: remove "${issue.keys[0]}"`);
  }
  const key = issue?.path.join(".");
  if (!key) throw new ConfigError(`${path} must hold an object such as {"name": "n1"}`);
  throw new ConfigError(`"${key}" in ${path} must be text or a number`);
}

function definedOnly(values: Record<string, string | undefined>): Record<string, string> {
  const entries = Object.entries(values);
  return Object.fromEntries(entries.flatMap(([k, v]) => (v === undefined ? [] : [[k, v]])));
}

function parse<K extends Key>(
  key: K,
  { text, where }: Given,
): z.output<(typeof settings)[K]["parse"]>;
function parse(key: Key, { text, where }: Given): unknown {
  const parsed = settings[key].parse.safeParse(text);
  if (parsed.success) return parsed.data;
  throw new ConfigError(`${where} cannot be "${text}": ${parsed.error.issues[0]?.message}`);
}

function standard(key: Key): Given {
  return { text: settings[key].byDefault, where: `--${flagOf(key)}` };
}

/** Others cannot connect to "every address". */
function urlOf(address: Address, flag: string): string {
  const { host } = address;
  if (host !== "0.0.0.0" && host !== "::") return `http://${hostAndPort(address)}`;
  throw new ConfigError(
    `${flag} is needed where a node listens on ${host}: say how others reach it`,
  );
}

function keys(): Key[] {
  return Object.keys(settings) as Key[];
}

function flagOf(key: Key): string {
  return key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}
