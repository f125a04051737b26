// Log lines: stored with the task, and sent to the agent's log. What a plugin prints with `console` arrives there too.

import { outside } from "./outside.js";

function write(level, message, fields) {
  const log = outside("log");
  if (!log.enabled(level)) return;
  log.write(level, String(message), Object.entries(fields ?? {}).map(([name, value]) => [name, String(value)]));
}

/** Whether anybody would see a line of this level: ask before making an expensive one. */
export function enabled(level) {
  return outside("log").enabled(level);
}

export const trace = (message, fields) => write("trace", message, fields);
export const debug = (message, fields) => write("debug", message, fields);
export const info = (message, fields) => write("info", message, fields);
export const warn = (message, fields) => write("warn", message, fields);
export const error = (message, fields) => write("error", message, fields);
