// The commands of this plugin: each `command(…)` adds one when its module is loaded.

import { captures, fault, isPattern, words } from "./pattern.js";

const CLASSES = ["read", "idempotent", "verify", "never"];
const KEYS = ["summary", "effect", "inputs", "outputs", "verify", "examples"];
const commands = new Map();

/** Adds a command. See index.d.ts. */
export function command(name, options, run) {
  const wrong = fault(name) ?? faultOf(options, run) ?? (commands.has(name) ? "it is there already" : undefined);
  if (wrong) throw new TypeError(`command ${JSON.stringify(name)}: ${wrong}`);
  commands.set(name, { ...options, name, run });
}

function faultOf(options, run) {
  if (typeof run !== "function") return "its last argument is the function that does it";
  const strange = Object.keys(options ?? {}).find((key) => !KEYS.includes(key));
  if (strange) return `there is no "${strange}" here; there are ${KEYS.join(", ")}`;
  const rules = rulesOf(options?.effect);
  if (rules.some(({ effect }) => !CLASSES.includes(effect))) return `an effect is one of "${CLASSES.join('", "')}"`;
  if (rules.some(({ when }, index) => (when === undefined) !== (index === rules.length - 1))) {
    return "each rule of `effect` but the last has `when`; the last catches every other call";
  }
  const verifies = rules.some(({ effect }) => effect === "verify");
  if (verifies && typeof options.verify !== "function") {
    return 'the effect "verify" needs `verify`, a function that tells whether a call took effect';
  }
  if (!verifies && options?.verify) return '`verify` is only asked for the effect "verify"';
  return undefined;
}

const rulesOf = (effect = "never") => (Array.isArray(effect) ? effect : [{ effect }]);

/** What the agent learns when it loads the plugin. */
export function description({ name, version, config }) {
  const told = [...commands.values()].map(({ name, summary = "", effect = "never", inputs, outputs, examples }) => ({
    [isPattern(name) ? "pattern" : "name"]: name,
    summary,
    effect,
    inputs: inputs ?? { type: "object" },
    outputs: outputs ?? {},
    ...(examples ? { examples } : {}),
  }));
  return { name, version, commands: told, ...(config ? { config } : {}) };
}

/** The command that serves `name`, and what its places took; undefined where none does. */
export function find(name) {
  const exact = commands.get(name);
  if (exact && !isPattern(name)) return { command: exact, taken: {} };
  return [...commands.values()]
    .filter((command) => isPattern(command.name))
    .sort((a, b) => words(b.name) - words(a.name))
    .map((command) => ({ command, taken: captures(command.name, name) }))
    .find(({ taken }) => taken);
}
