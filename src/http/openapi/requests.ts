/** How the document describes requests: their parameters, headers and bodies, and an example. */
import { z } from "zod";
import { must } from "../../lib/assert.ts";
import { REQUEST_HEADERS, type RequestHeader } from "./headers.ts";
import type { Example, Operation } from "./operation.ts";
import { PARAMETERS } from "./parameters.ts";

/** Where the examples are asked. */
const EXAMPLE_SERVER = "http://127.0.0.1:4001";
const JSON_TYPE = "application/json";

const PATH_TEXTS: Readonly<Record<string, string>> = {
  key: "any text of 1 to 1024 bytes in UTF-8; longer keys can be named in bodies",
  id: "the id of a lease",
  member: "the name of a member",
  name: "the name of a lock: any text",
};

/** The headers that requests may have, as parameters that operations refer to. */
export function headerParameters() {
  const described = Object.entries(REQUEST_HEADERS).map(([name, { text, example }]) => {
    const schema = { type: "string" as const };
    return [name, { name, in: "header" as const, description: text, schema, example }] as const;
  });
  return Object.fromEntries(described.filter(([name]) => isParameter(name)));
}

/** What the path, the query and the headers of an operation may hold. */
export function parametersOf({ headers, ...operation }: Operation) {
  return {
    requestParams: { path: pathParameters(operation), query: queryParameters(operation) },
    parameters: headers.filter(isParameter).map((name: RequestHeader) => {
      return { $ref: `#/components/parameters/${name}` };
    }),
  };
}

/** What the body must be: JSON by a schema, with the example, or bytes. */
export function bodyOf(body: Readonly<Record<string, z.ZodType>>, { body: example }: Example) {
  const content = Object.entries(body).map(([type, schema]) => {
    const hasExample = type === JSON_TYPE && example !== undefined;
    return [type, { schema, ...(hasExample && { example }) }];
  });
  return { required: true, content: Object.fromEntries(content) };
}

/** The example as a line of a shell. */
export function curlOf({ url, body }: Example, method: string): string {
  const parts = ["curl"];
  if (method === "head") parts.push("--head");
  else if (method !== "get") parts.push("-X", method.toUpperCase());
  if (body !== undefined) parts.push("--json", `'${JSON.stringify(body)}'`);
  return [...parts, `'${EXAMPLE_SERVER}${url}'`].join(" ");
}

/** OpenAPI knows Accept from the media types of the answers, and wants no parameter for it. */
function isParameter(header: string): boolean {
  return header !== "Accept";
}

function pathParameters({ path }: Pick<Operation, "path">) {
  const names = [...path.matchAll(/\{(\w+)\}/g)].map(([, name = ""]) => name);
  const shape = names.map((name) => {
    const description = must(PATH_TEXTS[name], `no text for {${name}}`);
    return [name, z.string().min(1).meta({ description })] as const;
  });
  return z.object(Object.fromEntries(shape));
}

/** Each parameter as it is checked, with what it means. Those for events say so. */
function queryParameters({ query, eventsQuery, texts = {} }: Omit<Operation, "headers">) {
  const shape: Record<string, z.ZodType> = {};
  for (const [name, schema] of Object.entries({ ...eventsQuery?.shape, ...query.shape })) {
    const meaning = must(texts[name] ?? PARAMETERS[name], `no text for the parameter ${name}`);
    const only = Object.hasOwn(query.shape, name) ? "" : "; with Accept: text/event-stream only";
    const type = schema as z.ZodType;
    const form = formOf(type);
    const description = `${meaning}${only}${form === undefined ? "" : ` (${form})`}`;
    shape[name] = type.meta({ description });
  }
  return z.object(shape);
}

/** What the schema itself says of its form. */
function formOf(schema: z.ZodType): string | undefined {
  const inner = schema instanceof z.ZodOptional ? (schema.unwrap() as z.ZodType) : schema;
  return inner.meta()?.description;
}
