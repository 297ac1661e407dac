/** Projects, run one after another: unit, integration (real processes), chaos, docker. */
import { defineConfig } from "vitest/config";

const unitFolders = [
  "lib",
  "raft",
  "storage",
  "kv",
  "node",
  "transport",
  "service",
  "http",
  "sim",
  "program",
  "cli",
  "fuzz",
  "model",
  "mutants",
  "checker",
  "repair",
  "scenarios",
].join(",");
const report = process.env["TEST_REPORT"];

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
          maxWorkers: 2,
          testTimeout: 30_000,
          hookTimeout: 10_000,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          name: "integration",
          include: ["test/integration/**/*.test.ts"],
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
