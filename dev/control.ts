/** How another terminal talks to a running `make run`: one line there, one line back. */
import { rmSync } from "node:fs";
import { connect, createServer, type Server } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";

/** Answers each line that comes. Throws where another process does so already for this folder. */
export async function serveControl(
  folder: string,
  answer: (line: string) => Promise<string>,
): Promise<Server> {
  if ((await tell(folder, "hello")) !== null) {
    throw new Error("make run is running already, in another terminal");
  }
  rmSync(socketIn(folder), { force: true });
  const server = createServer((socket) => {
    socket.on("error", () => socket.destroy()); // Whoever asked has gone.
    createInterface(socket).once("line", (line) => {
      void answer(line).then((said) => socket.end(`${said}\n`));
    });
  });
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(socketIn(folder), () => resolve(server));
  });
}

/** Sends a line and returns what is said to it; null where nobody listens. */
export function tell(folder: string, line: string): Promise<string | null> {
  return new Promise((resolve) => {
    const socket = connect(socketIn(folder));
    let said = "";
    socket.setEncoding("utf8");
    socket.on("data", (text: string) => {
      said += text;
    });
    socket.once("connect", () => socket.write(`${line}\n`));
    socket.once("error", () => resolve(null));
    socket.once("end", () => resolve(said.trim()));
  });
}

/** The path of a socket must be short, so that of the folder should be relative. */
function socketIn(folder: string): string {
  return join(folder, "run.sock");
}
