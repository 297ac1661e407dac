/** Tells the `make run` of a folder what to do: `kill-leader`, `start n1`, `add-node`. */
import { tell } from "./control.ts";

const [folder = "", ...words] = process.argv.slice(2);
const said = await tell(folder, words.join(" "));
console.log(said ?? "make run is not running: start it in another terminal first");
process.exitCode = said === null || said.startsWith("no: ") ? 1 : 0;
