// The running task.

import { asked, PluginError } from "./error.js";
import { outside } from "./outside.js";

/** A sleep is as long as this before it asks again whether the command should end. */
const PIECE_MS = 100;

/** Wall-clock milliseconds that are left of the smallest limit of step, task and plugin. */
export function remainingMs() {
  return Number(outside("task").remainingMs());
}

/** Why the call should end, or undefined. */
export function stopRequested() {
  return outside("task").stopRequested();
}

/** Goes on, or throws `stopped` once the command should end. */
export function keepGoing() {
  const reason = stopRequested();
  if (reason !== undefined) throw new PluginError("stopped", `asked to stop: ${reason}`);
}

/** Sleeps without using CPU time, or throws `stopped` once the command should end. */
export async function sleep(milliseconds) {
  keepGoing();
  for (let left = milliseconds; left > 0; left -= PIECE_MS) {
    await outside("sleep")(Math.min(left, PIECE_MS));
    keepGoing();
  }
}

/** Shows how far the command is, at most once a second; a `total` of 0 means that nobody knows. */
export function progress(done, total, message = "") {
  outside("task").progress(BigInt(done), BigInt(total), String(message));
}

/** Leaves a note for the next attempt and for `verify`. It is durable when this returns. */
export function note(value) {
  asked(() => outside("task").note(JSON.stringify(value)));
}
