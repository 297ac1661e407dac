/**
 * The OpenAPI document of the API: made of the schemas that check requests, of those that a test
 * holds answers against, and of the table that gives every error its status.
 */
import {
  createDocument,
  type ZodOpenApiOperationObject,
  type ZodOpenApiPathItemObject,
} from "zod-openapi";
import { watchEvent } from "./answers.ts";
import { adminOperations } from "./admin-operations.ts";
import { clusterOperations } from "./cluster-operations.ts";
import { keyOperations } from "./key-operations.ts";
import { leaseOperations } from "./lease-operations.ts";
import { manyOperations } from "./many-operations.ts";
import { nodeOperations } from "./node-operations.ts";
import type { Method, Operation } from "./operation.ts";
import { bodyOf, curlOf, headerParameters, parametersOf } from "./requests.ts";
import { answerHeaders, responsesOf } from "./responses.ts";
import { errorBody } from "./status-answers.ts";

/** All operations, in the order in which the document tells them. */
export const OPERATIONS: readonly Operation[] = [
  ...keyOperations,
  ...manyOperations,
  ...leaseOperations,
  ...clusterOperations,
  ...adminOperations,
  ...nodeOperations,
];

const DESCRIPTION =
  "A linearizable key-value store. Any node takes any request. Every error says what became " +
  "of the write: `not_applied`, when that is certain for ever, or `unknown`. A parameter or a " +
  "field that is not described is refused.";

/** The document, for a server of this version. Costs some time, and is always the same. */
export function openApiDocument(version: string): ReturnType<typeof createDocument> {
  const paths: Record<string, ZodOpenApiPathItemObject> = {};
  for (const operation of OPERATIONS) {
    const described = (paths[operation.path] ??= {});
    for (const method of methodsOf(operation)) described[method] = describe(operation, method);
  }
  return createDocument({
    openapi: "3.1.0",
    info: {
      title: "Quorate",
      version,
      description: DESCRIPTION,
      license: { name: "Apache 2.0", identifier: "Apache-2.0" },
    },
    servers: [{ url: "/" }],
    security: [],
    tags: [...new Set(OPERATIONS.map(({ tag }) => tag))].map((name) => ({ name })),
    paths,
    components: {
      schemas: { Error: errorBody, WatchEvent: watchEvent },
      parameters: headerParameters(),
      headers: answerHeaders(),
    },
  });
}

/** The methods of an operation, and HEAD beside a GET that ends. */
export function methodsOf({ methods, isStream }: Operation): readonly (Method | "head")[] {
  const hasHead = methods.includes("get") && isStream === undefined;
  return hasHead ? [...methods, "head"] : methods;
}

function describe(operation: Operation, method: Method | "head"): ZodOpenApiOperationObject {
  const { id, methods, summary, description, tag, body, example } = operation;
  const isHead = method === "head";
  const request = curlOf(example, method);
  const shell = `\`\`\`sh\n${request}\n\`\`\``;
  return {
    operationId: method === methods[0] ? id : `${id}-${method}`,
    summary: isHead ? `${summary}: the headers only` : summary,
    description: description === undefined ? shell : `${description}\n\n${shell}`,
    tags: [tag],
    "x-codeSamples": [{ lang: "Shell", source: request }],
    ...parametersOf(operation),
    ...(body !== undefined && { requestBody: bodyOf(body, example) }),
    responses: responsesOf(operation, { hasBody: !isHead }),
  };
}
