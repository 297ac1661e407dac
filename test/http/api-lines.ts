/** What docs/API.md says of an operation: a line that follows from the document of the API. */
import type { Operation } from "../../src/http/openapi/operation.ts";

/** A row of a table: methods and path, what it does, and its parameters. */
export function routeLine({ methods, path, summary, query, eventsQuery }: Operation): string {
  const names = new Set([...Object.keys(query.shape), ...Object.keys(eventsQuery?.shape ?? {})]);
  const verbs = methods.map((method) => method.toUpperCase()).join(", ");
  const parameters = [...names].sort().map((name) => `\`${name}\``);
  return `| \`${verbs} ${path}\` | ${summary} | ${parameters.join(", ")} |`;
}
