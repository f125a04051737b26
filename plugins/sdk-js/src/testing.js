// A host for tests: it remembers what a command says, and answers what the test wants.

import * as call from "./call.js";
import { Cluster } from "./cluster.js";
import { description, find } from "./commands.js";
import { failureOf, PluginError } from "./error.js";
import { attach } from "./outside.js";
import { refusal } from "./refusal.js";
import { misfit } from "./schema.js";

export { Cluster };

const NOTES_MAX = 16;
const NOTE_MAX_BYTES = 4 << 10;


/** The host of all commands, until there is another one. */
export class Host {
  /** Each line: `{level, message, fields}`. */
  lines = [];
  /** Each `[done, total, message]`. */
  progress = [];
  /** Give them to the next attempt in its context. */
  notes = [];
  /** How long commands slept; a test does not wait for it. */
  sleptMs = 0;
  /** What `task.remainingMs()` answers. */
  remainingMs = 60_000;
  /** A reason asks commands to stop. */
  stop = undefined;
  /** What `kubernetes` reaches. */
  cluster = new Cluster();

  constructor() {
    const note = (text) => {
      if (asked) throw refusal("denied", "only a running call leaves notes");
      if (new TextEncoder().encode(text).length > NOTE_MAX_BYTES) {
        throw refusal("too-large", `a note has at most ${NOTE_MAX_BYTES} bytes`);
      }
      if (this.notes.length >= NOTES_MAX) {
        throw refusal("budget", `a call and its earlier attempts leave at most ${NOTES_MAX} notes`);
      }
      this.notes.push(JSON.parse(text));
    };
    attach({
      log: {
        enabled: () => true,
        write: (level, message, fields) => this.lines.push({ level, message, fields: Object.fromEntries(fields) }),
      },
      task: {
        remainingMs: () => BigInt(this.remainingMs),
        stopRequested: () => this.stop,
        progress: (done, total, message) => this.progress.push([Number(done), Number(total), message]),
        note,
      },
      sleep: async (milliseconds) => {
        this.sleptMs += milliseconds;
      },
      ...this.cluster.interfaces(() => asked),
    });
  }
}

/** A `verify` runs: it leaves nothing behind. */
let asked = false;

/** Runs a command as an agent does; answers its result, or throws a PluginError. */
export async function run(name, inputs = {}, context = {}) {
  return JSON.parse(await made(call.run, name, inputs, context));
}

/** Asks whether an earlier attempt of a call took effect; answers the verdict. */
export async function verify(name, inputs = {}, context = {}) {
  asked = true;
  try {
    return JSON.parse(await made(call.verify, name, inputs, context));
  } finally {
    asked = false;
  }
}

/** What the agent learns when it loads the plugin. */
export const describe = (name = "plugin", version = "0.0.0") => description({ name, version });

async function made(ask, name, inputs, context) {
  const fault = misfit(find(name)?.command.inputs, inputs);
  if (fault) throw new PluginError("invalid", `the inputs do not fit: ${fault}`);
  const { effectKey, ...said } = context;
  try {
    return await ask(name, JSON.stringify(inputs), JSON.stringify({ ...said, "effect-key": effectKey }));
  } catch (thrown) {
    // A mistake in the code under test keeps its own stack.
    throw Object.assign(failureOf(thrown), thrown instanceof PluginError ? {} : { cause: thrown });
  }
}
