// Write a claiflow plugin: a command is a function from its inputs to its result.

export { command } from "./commands.js";
export { PluginError } from "./error.js";
export * as log from "./log.js";
export * as task from "./task.js";
export * as verdict from "./verdict.js";
