/** The client's part of the command line. */
import type { Command } from "commander";
import { addDeleteCommand } from "./delete-command.ts";
import { addKeyCommands } from "./key-commands.ts";
import { addLeaseCommands } from "./lease-commands.ts";
import { addLeaderCommand } from "./leader-command.ts";
import { addListCommand } from "./list-command.ts";
import { addLockCommand } from "./lock-command.ts";
import { addMemberCommands } from "./member-command.ts";
import { addStatusCommand } from "./status-command.ts";
import { addTxnCommand } from "./txn-command.ts";
import { addWatchCommand } from "./watch-command.ts";

/** Adds every command but `serve`. Each rejects with CommandError or Interrupted where it fails. */
export function addClientCommands(program: Command): void {
  addKeyCommands(program);
  addDeleteCommand(program);
  addListCommand(program);
  addWatchCommand(program);
  addTxnCommand(program);
  addLockCommand(program);
  addLeaseCommands(program);
  addMemberCommands(program);
  addLeaderCommand(program);
  addStatusCommand(program);
}
