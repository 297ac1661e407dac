/** The routes of single keys, in both presentations. */
import { z } from "zod";
import { kvBody, valueBody } from "../body-schemas.ts";
import * as keys from "../keys-routes.ts";
import * as kv from "../kv-routes.ts";
import { incrementQuery } from "../txn-routes.ts";
import { incrementBodySchema } from "../txn-body.ts";
import { keyQuery } from "../watch-routes.ts";
import { counter, deleteResult, keyValue, putResult, simpleValue } from "./answers.ts";
import {
  BODY_ERRORS,
  CONDITION_ERRORS,
  COUNT_ANSWER,
  DELETE_ANSWER,
  json,
  KEY_ANSWER,
  KEY_ERRORS,
  KEY_READ,
  KEY_READ_ERRORS,
  KEY_WRITE,
  NAMED_WRITE,
  NO_BODY_ERRORS,
  notModified,
  PAST_ERRORS,
  PUT_ANSWER,
  READ_ERRORS,
  WRITE_ERRORS,
} from "./common.ts";
import type { Operation } from "./operation.ts";

const SLASHES = "Slashes are part of the key, and may be escaped or not; one at the end is not.";
const bytes = z.string().meta({ description: "the bytes of the value, as they are" });
const stream = z.string().meta({ description: "as GET /v1/watch" });
const TEXTS = {
  since: "wait for a change after this revision, or with events: begin after it",
};
const CHANGE_ERRORS = [...WRITE_ERRORS, ...KEY_ERRORS, ...CONDITION_ERRORS] as const;
const PUT_ERRORS = [
  ...CHANGE_ERRORS,
  ...BODY_ERRORS,
  "INVALID_VALUE",
  "LEASE_NOT_FOUND",
  "IDEMPOTENCY_CONFLICT",
] as const;
/** A watch of the key. */
const EVENT_ERRORS = ["REVISION_COMPACTED", "TOO_MANY_WATCHERS"] as const;
const GET_ERRORS = [
  ...READ_ERRORS,
  ...KEY_ERRORS,
  ...EVENT_ERRORS,
  "KEY_NOT_FOUND",
  "PRECONDITION_FAILED",
  "NOT_ACCEPTABLE",
] as const;
const READ_HEADERS = [...KEY_ANSWER, "X-Accel-Buffering"] as const;

const simple: readonly Operation[] = [
  {
    id: "getValue",
    methods: ["get"],
    path: "/keys/{key}/",
    tag: "values",
    summary: "Read a value",
    description: `A key that is not there has the value "" and version 0. ${SLASHES}`,
    query: keys.getQuery.schema,
    eventsQuery: keyQuery.schema,
    texts: TEXTS,
    headers: KEY_READ,
    successes: {
      200: {
        description: "the value, or a watch of it",
        headers: READ_HEADERS,
        content: { "application/json": simpleValue, "text/event-stream": stream },
      },
      304: notModified(KEY_ANSWER),
    },
    errors: GET_ERRORS,
    errorHeaders: KEY_READ_ERRORS,
    example: { url: "/keys/greeting/" },
  },
  {
    id: "putValue",
    methods: ["put", "post"],
    path: "/keys/{key}/",
    tag: "values",
    summary: "Write a value",
    description: `Answered once a majority has it on disk. ${SLASHES}`,
    query: keys.writeQuery.schema,
    headers: KEY_WRITE,
    body: { "application/json": valueBody },
    successes: { 200: json(simpleValue, PUT_ANSWER) },
    errors: PUT_ERRORS,
    example: { url: "/keys/greeting/", body: { value: "hello" } },
  },
  {
    id: "deleteValue",
    methods: ["delete"],
    path: "/keys/{key}/",
    tag: "values",
    summary: "Delete a key",
    description: "Done, too, where there is no such key: Quorate-Deleted says 0 then.",
    query: keys.deleteQuery.schema,
    headers: KEY_WRITE,
    successes: { 200: json(simpleValue, DELETE_ANSWER) },
    errors: [...CHANGE_ERRORS, "IDEMPOTENCY_CONFLICT", ...NO_BODY_ERRORS],
    example: { url: "/keys/greeting/" },
  },
];

const full: readonly Operation[] = [
  {
    id: "getKey",
    methods: ["get"],
    path: "/v1/kv/{key}",
    tag: "keys",
    summary: "Read a key, with all that is known of it",
    description: SLASHES,
    query: kv.getQuery.schema,
    eventsQuery: keyQuery.schema,
    texts: TEXTS,
    headers: KEY_READ,
    successes: {
      200: {
        description: "the key, its bytes, or a watch of it",
        headers: [...READ_HEADERS, "X-Content-Type-Options", "Content-Security-Policy"],
        content: {
          "application/json": keyValue,
          "application/octet-stream": bytes,
          "text/event-stream": stream,
        },
      },
      304: notModified(KEY_ANSWER),
    },
    errors: [...GET_ERRORS, ...PAST_ERRORS],
    errorHeaders: KEY_READ_ERRORS,
    example: { url: "/v1/kv/app/color" },
  },
  {
    id: "putKey",
    methods: ["put", "post"],
    path: "/v1/kv/{key}",
    tag: "keys",
    summary: "Write a key",
    description: `A body of another type than JSON is stored as it is. ${SLASHES}`,
    query: kv.writeQuery.schema,
    headers: KEY_WRITE,
    body: { "application/json": kvBody, "application/octet-stream": bytes, "text/plain": bytes },
    successes: {
      200: json(putResult, PUT_ANSWER, "the key was there, and is changed"),
      201: json(putResult, PUT_ANSWER, "the key is new"),
    },
    errors: PUT_ERRORS,
    example: { url: "/v1/kv/app/color", body: { value: "blue" } },
  },
  {
    id: "deleteKey",
    methods: ["delete"],
    path: "/v1/kv/{key}",
    tag: "keys",
    summary: "Delete a key",
    query: kv.deleteQuery.schema,
    headers: KEY_WRITE,
    successes: { 200: json(deleteResult, DELETE_ANSWER) },
    errors: [...CHANGE_ERRORS, "IDEMPOTENCY_CONFLICT", ...NO_BODY_ERRORS],
    example: { url: "/v1/kv/app/color" },
  },
  {
    id: "incrementKey",
    methods: ["post"],
    path: "/v1/kv/{key}/increment",
    tag: "keys",
    summary: "Count",
    description: "Adds to the whole number that the key holds, or to `initial`.",
    query: incrementQuery.schema,
    headers: NAMED_WRITE,
    body: { "application/json": incrementBodySchema },
    successes: { 200: json(counter, COUNT_ANSWER) },
    errors: [
      ...WRITE_ERRORS,
      ...KEY_ERRORS,
      ...BODY_ERRORS,
      "NOT_A_NUMBER",
      "IDEMPOTENCY_CONFLICT",
    ],
    example: { url: "/v1/kv/app/visits/increment", body: { by: 5 } },
  },
];

export const keyOperations: readonly Operation[] = [...simple, ...full];
