import type { Json } from "./index.js";

export interface Resource {
  /** Empty for the core group. */
  group?: string;
  /** Empty: the version that the API server prefers. */
  version?: string;
  plural: string;
  subresource?: string;
}

export interface GetOptions {
  /** Only these fields: paths with dots, such as `metadata.name`. */
  fields?: string[];
}
export interface ListOptions extends GetOptions {
  labels?: { [name: string]: string };
  fieldSelector?: string;
  limit?: number;
  metadataOnly?: boolean;
}
export interface WriteOptions extends GetOptions {
  dryRun?: boolean;
}
export interface RemoveOptions {
  uid?: string;
  resourceVersion?: string;
  propagation?: "Background" | "Foreground" | "Orphan";
  graceSeconds?: number;
  dryRun?: boolean;
}
export interface LogOptions {
  container?: string;
  previous?: boolean;
  follow?: boolean;
  tailLines?: number;
  sinceSeconds?: number;
  timestamps?: boolean;
}
export interface Event<T> {
  /** `ADDED`, `MODIFIED`, `DELETED`, or another word of the API server. */
  type: string;
  object: T;
}
export interface Execution {
  write(data: Uint8Array): void;
  closeInput(): void;
  /** Undefined once the program wrote all; empty `data` when nothing came in time. */
  read(timeoutMs: number): { stream: "stdout" | "stderr"; data: Uint8Array } | undefined;
  /** After the end. */
  status(): { exit?: number; error?: string };
}

/** One resource in one place. Each call throws a PluginError: `denied`, `not-found`, `conflict`, `unavailable`, …. */
export class Api<T = any> {
  static inNamespace<T = any>(resource: Resource, namespace: string): Api<T>;
  static ofCluster<T = any>(resource: Resource): Api<T>;
  /** Every namespace that the grant names: to list and to watch. */
  static granted<T = any>(resource: Resource): Api<T>;
  /** The same objects' subresource, such as `scale`. */
  sub<S = any>(subresource: string): Api<S>;
  get(name: string, options?: GetOptions): T;
  /** Undefined where there is none of this name. */
  find(name: string, options?: GetOptions): T | undefined;
  /** Page by page, while it is iterated. */
  list(options?: ListOptions): Generator<T, void, void>;
  /** `next` answers an empty list when nothing came in time; `gone`: watch anew. */
  watch(options?: ListOptions & { resourceVersion?: string }): { next(timeoutMs: number): Event<T>[] };
  /** `read` answers undefined at the end, and no bytes when nothing came in time. */
  log(pod: string, options?: LogOptions): { read(timeoutMs: number): Uint8Array | undefined };
  create(body: object, options?: WriteOptions): T;
  /** Server-side apply; `force` needs the verb `force-apply`. */
  apply(name: string, body: object, options?: WriteOptions & { force?: boolean }): T;
  /** Needs `metadata.resourceVersion` in the body. */
  replace(name: string, body: object, options?: WriteOptions): T;
  patch(name: string, type: "json" | "merge" | "strategic", body: Json | object, options?: WriteOptions): T;
  remove(name: string, options?: RemoveOptions): Json;
  /** An empty `container` is the annotated default, else the first. */
  exec(pod: string, command: string[], options?: { container?: string; stdin?: boolean; tty?: boolean }): Execution;
}

/** What this plugin may touch here. */
export function granted(): {
  group: string;
  version: string;
  plural: string;
  kind: string;
  namespaced: boolean;
  verbs: string[];
  namespaces: string[];
  names: string[];
}[];
