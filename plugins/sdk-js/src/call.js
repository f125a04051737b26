// One call of a command: texts in, text out.

import { find } from "./commands.js";
import { PluginError } from "./error.js";

/** What a call knows of its task; keys that nobody knows here are left alone: the contract lets this object grow. */
function contextOf(command, text, taken) {
  const said = JSON.parse(text);
  return {
    command,
    task: said.task ?? "",
    step: said.step ?? "",
    attempt: said.attempt ?? 0,
    effectKey: said["effect-key"] ?? "",
    deadline: said.deadline ?? "",
    captures: { ...said.captures, ...taken },
    traceparent: said.traceparent ?? "",
    notes: said.notes ?? [],
    config: said.config ?? {},
  };
}

function found(name) {
  const it = find(name);
  if (!it) throw new PluginError("not-found", `this plugin has no command \`${name}\``);
  return it;
}

function written(value) {
  try {
    // What gives nothing gives null.
    return JSON.stringify(value) ?? "null";
  } catch (error) {
    throw new PluginError("failed", `the result is not JSON: ${error.message}`);
  }
}

/** Does it; answers its result's JSON text. */
export async function run(name, inputs, context) {
  const { command, taken } = found(name);
  return written(await command.run(JSON.parse(inputs), contextOf(name, context, taken)));
}

/** Asks whether an earlier attempt took effect; answers the verdict's JSON text. */
export async function verify(name, inputs, context) {
  const { command, taken } = found(name);
  if (!command.verify) return written({ verdict: "unknown", why: "this command cannot tell" });
  return written(await command.verify(JSON.parse(inputs), contextOf(name, context, taken)));
}
