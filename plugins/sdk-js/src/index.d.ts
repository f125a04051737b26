/** Anything that JSON can hold. Numbers beyond 2^53 lose digits: take them as strings. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** A JSON Schema; a `$ref` points inside of it. */
export type Schema = boolean | { [key: string]: unknown };

/** What may happen twice when an agent dies in the middle of a call. */
export type Effect = "read" | "idempotent" | "verify" | "never";

/** The first rule whose jq expression holds of the inputs decides; the last has none. */
export type Effects = Effect | [...{ when: string; effect: Effect }[], { effect: Effect }];

/** What a call knows of its task. */
export interface Context {
  /** The name that the template used. */
  command: string;
  /** The task's UUID, 32 hexadecimal digits. */
  task: string;
  /** The step's path in the flow, such as `2/r[17]/p`. */
  step: string;
  /** 1 for the first. */
  attempt: number;
  /** The same for all attempts of one call, and for no other call. */
  effectKey: string;
  /** When the call ends at the latest: RFC 3339, UTC. */
  deadline: string;
  /** What the places of a pattern took, by name. */
  captures: { [place: string]: string };
  /** W3C trace context, to be sent on; empty without one. */
  traceparent: string;
  /** What earlier attempts left with `task.note`, in their order. */
  notes: Json[];
  /** What the operator set for this plugin in the grants file. */
  config: { [key: string]: Json };
}

export interface Options<Inputs, Output> {
  /** One line for people. */
  summary?: string;
  /** Without one, a call is never repeated. */
  effect?: Effects;
  /** Checked before the function is called. */
  inputs?: Schema;
  outputs?: Schema;
  /** For the effect `verify`: whether an earlier attempt of the call took effect. */
  verify?: (inputs: Inputs, context: Context) => Verdict<Output> | Promise<Verdict<Output>>;
  examples?: Json[];
}

/**
 * Adds a command to this plugin. `{place}` between the dots of its name takes one segment, `{place+}` at the end one or more.
 *
 * ```js
 * command("greet", { effect: "read", inputs: { type: "object", properties: { name: { type: "string" } }, required: ["name"] } },
 *   ({ name }) => `hello ${name}`);
 * ```
 */
export function command<Inputs = any, Output = Json>(
  name: string,
  options: Options<Inputs, Output>,
  run: (inputs: Inputs, context: Context) => Output | Promise<Output>,
): void;

/** A failure: a code for programs, one sentence for a person, and details. Never put a secret into it. */
export class PluginError extends Error {
  /** Codes of the contract: `invalid`, `not-found`, `exists`, `conflict`, `unavailable`, `timeout`, `stopped`, `failed`, …. */
  constructor(code: string, message: string, details?: { [key: string]: Json });
  readonly code: string;
  readonly details: { [key: string]: Json };
  /** Whether the same call may work later. */
  readonly mayPassLater: boolean;
  /** Adds whether the call had its effect. */
  applied(effect: "none" | "done" | "unknown"): this;
  /** Adds when to try again, in milliseconds from now. */
  retryAfterMs(milliseconds: number): this;
}

export type Verdict<Output> =
  | { verdict: "done"; output: Output }
  | { verdict: "not-done" }
  | { verdict: "unknown"; why: string };

/** What `verify` answers. */
export namespace verdict {
  /** It had its effect, and this is what the call would have answered. */
  function done<Output>(output: Output): Verdict<Output>;
  /** It had none: the call may be made again. */
  function notDone(): Verdict<never>;
  /** Nobody can tell, and why. */
  function unknown(why: string): Verdict<never>;
}

type Fields = { [name: string]: unknown };

/** Log lines, stored with the task. What `console` prints arrives there too. */
export namespace log {
  type Level = "trace" | "debug" | "info" | "warn" | "error";
  function trace(message: unknown, fields?: Fields): void;
  function debug(message: unknown, fields?: Fields): void;
  function info(message: unknown, fields?: Fields): void;
  function warn(message: unknown, fields?: Fields): void;
  function error(message: unknown, fields?: Fields): void;
  /** Whether anybody would see a line of this level. */
  function enabled(level: Level): boolean;
}

/** The running task. */
export namespace task {
  /** Wall-clock milliseconds that are left of the smallest limit. */
  function remainingMs(): number;
  /** Why the call should end, or undefined. */
  function stopRequested(): string | undefined;
  /** Throws `stopped` once the command should end. */
  function keepGoing(): void;
  /** Sleeps without using CPU time, or throws `stopped` once the command should end. */
  function sleep(milliseconds: number): Promise<void>;
  /** Shown live; a `total` of 0 means that nobody knows. */
  function progress(done: number, total: number, message?: string): void;
  /** Durable when it returns: the next attempt and `verify` find it in `context.notes`. 16 notes, 4 KiB each. */
  function note(value: Json): void;
}
