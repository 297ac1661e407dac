/** Whether there is a Docker engine to test with. */
import { getContainerRuntimeClient } from "testcontainers";

/** Null: one answers. Otherwise, why the tests must be skipped. */
export const engineMissing: string | null = await getContainerRuntimeClient().then(
  () => null,
  (error: unknown) => {
    const why = error instanceof Error ? error.message.split("\n")[0] : String(error);
    return `no Docker engine answers: ${why}`;
  },
);
