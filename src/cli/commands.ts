/** What the client commands do: each asks the cluster, and says what came of it. */
import { text as readAll } from "node:stream/consumers";
import { ask, CommandError, EXIT, parseObject, problemIn } from "./cluster-client.ts";
import type { Answer, Question } from "./exchange.ts";
import type { Output, Row } from "./output.ts";

/** Where to ask, and whom to tell. */
export interface CommandContext {
  readonly endpoints: readonly string[];
  readonly output: Output;
}

/** Prints the value of a key. */
export async function get({ endpoints, output }: CommandContext, key: string): Promise<void> {
  const question: Question = { method: "GET", path: `${pathOf(key)}?strict=true` };
  const answer = await ask(endpoints, question);
  if (answer.status === 404) throw new CommandError(`there is no key ${key}`, EXIT.missing);
  const value = valueIn(answer);
  output.say(value, { key, value, ...versionIn(answer) });
}

/** Sets a key; the value `-` stands for standard input. */
export async function put(
  { endpoints, output }: CommandContext,
  key: string,
  value: string,
): Promise<void> {
  const content = value === "-" ? await readAll(process.stdin) : value;
  const body = { value: content };
  const answer = await ask(endpoints, { method: "POST", path: pathOf(key), body });
  valueIn(answer);
  const { version, revision } = versionIn(answer);
  const said = `${key} is set: version ${version}, revision ${revision}`;
  output.say(said, { key, value: content, version, revision });
}

/** Deletes a key, whether it is there or not. */
export async function del({ endpoints, output }: CommandContext, key: string): Promise<void> {
  const answer = await ask(endpoints, { method: "DELETE", path: pathOf(key) });
  valueIn(answer);
  const deleted = answer.headers["quorate-deleted"] === "1";
  const { revision } = versionIn(answer);
  const said = deleted ? `${key} is deleted: revision ${revision}` : `there was no key ${key}`;
  output.say(said, { key, deleted, revision });
}

/** Shows every node at the endpoints, a row each, and fails where none of them answers. */
export async function status({ endpoints, output }: CommandContext): Promise<void> {
  const rows = await Promise.all(endpoints.map(statusRow));
  output.table(rows);
  if (rows.every(({ role }) => role === null)) {
    throw new CommandError("none of the endpoints answers", EXIT.failed);
  }
}

/** What a node says of itself; null where it says nothing. */
async function statusRow(endpoint: string): Promise<Row> {
  const found = await statusOf(endpoint);
  const log = found["log"];
  const indexes: Readonly<Record<string, unknown>> =
    typeof log === "object" && log !== null ? { ...log } : {};
  return {
    endpoint,
    name: cell(found["name"]),
    role: cell(found["role"]),
    leader: cell(found["leader"]),
    term: cell(found["term"]),
    committed: cell(indexes["committed"]),
    applied: cell(indexes["applied"]),
    revision: cell(found["revision"]),
    keys: cell(found["keys"]),
  };
}

async function statusOf(endpoint: string): Promise<Readonly<Record<string, unknown>>> {
  try {
    const answer = await ask([endpoint], { method: "GET", path: "/v1/status" });
    return answer.status === 200 ? parseObject(answer.body) : {};
  } catch (error) {
    if (error instanceof CommandError) return {}; // The row shows it.
    throw error;
  }
}

function cell(value: unknown): string | number | null {
  return typeof value === "string" || typeof value === "number" ? value : null;
}

/** Nothing in a key is special, so all of it is one escaped segment. */
function pathOf(key: string): string {
  return `/keys/${encodeURIComponent(key)}/`;
}

function valueIn(answer: Answer): string {
  const { code, error } = problemIn(answer);
  if (answer.status >= 400) throw new CommandError(`${code}: ${error}`, EXIT.failed);
  const { value } = JSON.parse(answer.body) as { value?: unknown };
  if (typeof value !== "string") throw new CommandError(error, EXIT.failed);
  return value;
}

function versionIn({ headers }: Answer): { version: number; revision: number } {
  return {
    version: Number(headers["quorate-version"]),
    revision: Number(headers["quorate-revision"]),
  };
}
