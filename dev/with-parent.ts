/**
 * Loaded into a process (`node --import`) that must not outlive the one that started it: the
 * channel between them closes however the parent ends, even by kill -9.
 */
process.on("disconnect", () => process.kill(process.pid, "SIGKILL"));
process.channel?.unref();
