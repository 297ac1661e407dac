/** A thread that is started with the server's version, says the document as JSON, and ends. */
import { parentPort, workerData } from "node:worker_threads";
import { must } from "../../lib/assert.ts";
import { openApiDocument } from "./document.ts";

const document = openApiDocument(workerData as string);
must(parentPort, "this runs as a thread").postMessage(JSON.stringify(document));
