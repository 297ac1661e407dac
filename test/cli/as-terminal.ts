/** Loaded into a process (`node --import`) whose standard output is to pass for a terminal. */
process.stdout.isTTY = true;
