// The component's side: the export `handler`, made of the commands. `build-plugin` calls it; authors do not.

import { run, verify } from "./call.js";
import { description } from "./commands.js";
import { failureOf, PluginError } from "./error.js";
import { attach } from "./outside.js";
import * as log from "./log.js";

/** What the agent learns when it loads the plugin. */
export const describe = description;

/** The export, over the imports of the component. */
export function serve(plugin, imports) {
  attach({ ...imports, sleep: (milliseconds) => new Promise((wake) => setTimeout(wake, milliseconds)) });
  return {
    describe: () => JSON.stringify(description(plugin)),
    run: (call) => answer(run, call),
    verify: (call) => answer(verify, call),
  };
}

async function answer(ask, { command, inputs, context }) {
  try {
    return await ask(command, inputs, context);
  } catch (thrown) {
    // A mistake in the code is found by its place, which the task's log then has.
    if (!(thrown instanceof PluginError)) log.error(`threw: ${thrown}`, { stack: thrown?.stack ?? "" });
    const { code, message, details } = failureOf(thrown);
    const payload = { code, message, details: Object.keys(details).length ? JSON.stringify(details) : undefined };
    throw Object.assign(new Error(message), { payload });
  }
}
