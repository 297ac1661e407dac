/** Projects, run one after another: unit, integration (real processes), chaos, docker. */
import { join } from "node:path";
import { defineConfig } from "vitest/config";

const unitFolders = [
  "lib",
  "raft",
  "storage",
  "kv",
  "node",
  "transport",
  "service",
  "watch",
  "http",
  "sim",
  "program",
  "golden",
  "cli",
  "fuzz",
  "model",
  "mutants",
  "checker",
  "repair",
  "scenarios",
].join(",");
const report = process.env["TEST_REPORT"];
/** Hundreds of nodes and commands are started, and compiling takes most of the time of each. */
const compiled = { NODE_COMPILE_CACHE: join(import.meta.dirname, "node_modules/.cache/node") };

/** Tests that start servers share the machine's ports and disk, so one file runs at a time. */
const oneFileAtATime = { fileParallelism: false, maxWorkers: 1 };

export default defineConfig({
  test: {
    passWithNoTests: true,
    reporters: report ? ["default", ["json", { outputFile: report }]] : ["default"],
    projects: [
      {
        test: {
          name: "unit",
          include: [`test/{${unitFolders}}/**/*.test.ts`, "test/tidy.test.ts"],
          env: compiled,
          maxWorkers: 2,
          testTimeout: 30_000,
          hookTimeout: 10_000,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          name: "integration",
          include: ["test/{integration,client}/**/*.test.ts"],
          env: compiled,
          ...oneFileAtATime,
          testTimeout: 60_000,
          hookTimeout: 60_000,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          name: "chaos",
          include: ["test/chaos/**/*.test.ts"],
          env: compiled,
          ...oneFileAtATime,
          testTimeout: 240_000,
          hookTimeout: 60_000,
          sequence: { groupOrder: 2 },
        },
      },
      {
        test: {
          name: "docker",
          include: ["test/docker/**/*.test.ts"],
          // Its janitor is an image from the internet; the tests clean up by themselves.
          env: { TESTCONTAINERS_RYUK_DISABLED: "true" },
          ...oneFileAtATime,
          testTimeout: 180_000,
          hookTimeout: 300_000, // The first one builds the image.
          sequence: { groupOrder: 3 },
        },
      },
    ],
  },
});
