/** A failing history as a page: who did what when, and what nobody can explain. */
import type { Failure } from "./linearizable.ts";
import type { AnyOperation, Operation, TxnOperation, TxnStep } from "./history.ts";

const WIDTH = 1_600;
const LANE = 26;
const LEFT = 110;
/** A page with more would say less: the window ends with what could not be placed. */
const OPERATIONS_MAX = 400;

/** A page of its own, with nothing from elsewhere in it. */
export function timeline({ key, operations, placed }: Failure): string {
  const shown = windowOf(operations, placed);
  const order = new Map(placed.map((operation, at) => [operation, at + 1]));
  const clients = [...new Set(shown.map(({ client }) => client))];
  const from = Math.min(...shown.map(({ call }) => call));
  const to = Math.max(...shown.map((operation) => operation.return ?? operation.call));
  const x = (time: number) => LEFT + ((time - from) / Math.max(to - from, 1)) * (WIDTH - LEFT - 40);
  const bars = shown.map((operation) => {
    const lane = clients.indexOf(operation.client);
    const [start, end] = [x(operation.call), x(operation.return ?? to)];
    return bar(
      operation,
      { x: start, y: 20 + lane * LANE, width: Math.max(end - start, 3) },
      order,
    );
  });
  const names = clients.map(
    (client, lane) => `<text x="4" y="${20 + lane * LANE + 15}">${escape(client)}</text>`,
  );
  const height = 40 + clients.length * LANE;
  return `<!doctype html><meta charset="utf-8"><title>${escape(key)}</title>
<style>body{font:13px system-ui,sans-serif;margin:16px}svg{border:1px solid #ccc}
text{font-size:11px}rect{stroke:#333;stroke-width:.5}.placed{fill:#bfe3c0}.left{fill:#f2a6a0}
.unknown{fill:#eee;stroke-dasharray:3}</style>
<h1>No order explains the answers about ${escape(key)}</h1>
<p>${placed.length} of ${operations.length} operations could be put into an order (green, with
their places); what is red could not. Dashed: the outcome is unknown.</p>
<svg width="${WIDTH}" height="${height}">${names.join("")}${bars.join("")}</svg>
`;
}

function windowOf(operations: readonly AnyOperation[], placed: readonly AnyOperation[]) {
  const explained = new Set(placed);
  const stuck = operations.findIndex(
    (operation) => !explained.has(operation) && operation.outcome !== "unknown",
  );
  const end = Math.min(operations.length, Math.max(stuck, 0) + OPERATIONS_MAX / 2);
  return operations.slice(Math.max(0, end - OPERATIONS_MAX), end);
}

function bar(
  operation: AnyOperation,
  at: { readonly x: number; readonly y: number; readonly width: number },
  order: ReadonlyMap<AnyOperation, number>,
): string {
  const place = order.get(operation);
  const kind =
    place === undefined ? (operation.outcome === "unknown" ? "unknown" : "left") : "placed";
  const label = `${place === undefined ? "" : `${place}. `}${describe(operation)}`;
  const { x, y, width } = at;
  return (
    `<g><title>${escape(JSON.stringify(operation))}</title>` +
    `<rect class="${kind}" x="${x}" y="${y}" width="${width}" height="${LANE - 6}"/>` +
    `<text x="${x + 2}" y="${y + 14}">${escape(label)}</text></g>`
  );
}

/** In a few characters: `put b if 3 → 4`. */
export function describe(operation: AnyOperation): string {
  switch (operation.op) {
    case "txn":
      return describeTxn(operation);
    case "expire":
      return `expire ${operation.in.lease}`;
    case "range": {
      const { in: input, out, outcome } = operation;
      const what = `range ${input.prefix ?? input.keys?.join()}`;
      const limit = input.limit === undefined ? "" : ` of ${input.limit}`;
      const at = input.at === undefined ? "" : ` at ${input.at}`;
      const items = out?.items.map(({ key, version, value }) => `${key}:${version} ${value}`);
      return `${what}${limit}${at} → ${items?.join(", ") ?? outcome}`;
    }
    case "get":
    case "put":
    case "delete":
    case "increment":
      return describeKeyed(operation);
  }
}

function describeKeyed({ op, in: input, outcome, out }: Operation): string {
  const argument = input.value?.slice(0, 12) ?? input.by;
  const what = argument === undefined ? op : `${op} ${argument}`;
  const condition = input.ifVersion === undefined ? "" : ` if ${input.ifVersion}`;
  if (out === undefined) return `${what}${condition} → ${outcome}`;
  const isTold = op === "get" || op === "increment";
  const value = isTold ? ` ${out.value === null ? "nothing" : out.value}` : "";
  const refused = outcome === "refused" ? "refused, " : "";
  return `${what}${condition} → ${refused}${out.version}${value}`;
}

function describeTxn({ in: input, outcome, out }: TxnOperation): string {
  const compares = input.compare.map(({ key, target, relation, to }) => {
    return `${key} ${target} ${relation} ${to}`;
  });
  const condition = compares.length === 0 ? "" : `if ${compares.join(" & ")}: `;
  const steps = (list: readonly TxnStep[]) => list.map(describeStep).join(", ");
  if (out === undefined) return `${condition}${steps(input.success)} → ${outcome}`;
  const done = steps(out.succeeded ? input.success : input.failure);
  return `${condition}${out.succeeded ? "" : "no: "}${done} → ${JSON.stringify(out.results)}`;
}

function describeStep(step: TxnStep): string {
  if (step.op === "deletePrefix") return `delete ${step.prefix}*`;
  const argument = step.op === "put" ? step.value.slice(0, 12) : "";
  return `${step.op} ${step.key}${argument === "" ? "" : ` ${argument}`}`;
}

function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
}
