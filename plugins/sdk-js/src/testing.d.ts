import type { Context, Json, PluginError, Verdict } from "./index.js";

/** The host of all commands until there is another one: it remembers what they say, and answers what the test wants. */
export class Host {
  readonly lines: { level: string; message: string; fields: { [name: string]: string } }[];
  readonly progress: [done: number, total: number, message: string][];
  readonly notes: Json[];
  /** A test does not wait for it. */
  readonly sleptMs: number;
  /** What `task.remainingMs()` answers; a minute at first. */
  remainingMs: number;
  /** A reason asks commands to stop. */
  stop: string | undefined;
  /** What `claiflow/kubernetes` reaches. */
  readonly cluster: Cluster;
}

/** An API server that is played: objects with versions and uids, conflicts, and what was asked. */
export class Cluster {
  /** Each call, such as `delete pods shop/web-2`. */
  readonly calls: string[];
  /** Its plural is its kind in small letters with `s`, or `plural`. */
  put(object: any, plural?: string): any;
  object(plural: string, namespace: string | undefined, name: string): any;
  writes(namespace: string, pod: string, log: string): void;
  runs(namespace: string, pod: string, command: string[], outcome: { stdout?: string; stderr?: string; exit?: number }): void;
  /** Calls that read like this fail from here on. */
  refuse(call: string, error: PluginError): void;
}

/** Runs a command as an agent does; throws a PluginError, `invalid` where the inputs do not fit their schema. */
export function run(command: string, inputs?: object, context?: Partial<Context>): Promise<any>;
/** Asks whether an earlier attempt of a call took effect; while it runs, notes and writes are `denied`. */
export function verify(command: string, inputs?: object, context?: Partial<Context>): Promise<Verdict<any>>;
/** What the agent learns when it loads the plugin. */
export function describe(name?: string, version?: string): any;
