// An API server that is played: objects with versions and uids, conflicts, and what was asked.

import { refusal } from "./refusal.js";

/** What a program in a pod wrote and how it ended. */
const NOTHING = { stdout: "", stderr: "", exit: 0 };

export class Cluster {
  /** Each call, such as `delete pods shop/web-2`. */
  calls = [];
  #objects = new Map();
  #versions = 0;
  #refused = new Map();
  #logs = new Map();
  #programs = new Map();
  #events = [];

  /** Puts an object there; its plural is its kind in small letters with `s`, or `plural`. */
  put(object, plural = `${object.kind.toLowerCase()}s`) {
    return structuredClone(this.#keep(plural, structuredClone(object), "ADDED"));
  }

  /** An object as it is now, or undefined. */
  object(plural, namespace, name) {
    return structuredClone(this.#objects.get(key(plural, namespace, name)));
  }

  /** What a pod's log says. */
  writes(namespace, pod, text) {
    this.#logs.set(`${namespace}/${pod}`, text);
  }

  /** What a program in a pod does: `{stdout, stderr, exit}`. */
  runs(namespace, pod, command, outcome) {
    this.#programs.set(`${namespace}/${pod} ${command.join(" ")}`, { ...NOTHING, ...outcome });
  }

  /** The next calls that read like this fail with this PluginError. */
  refuse(call, error) {
    this.#refused.set(call, error);
  }

  /** The contract's interfaces over it; `asked` says whether a `verify` runs. */
  interfaces(asked) {
    const change = (call) => (target, ...rest) => {
      if (asked()) throw refusal("denied", "`verify` changes nothing");
      return JSON.stringify(call(target, ...rest));
    };
    return {
      kubernetes: {
        resources: () => "[]",
        get: (target, options) => JSON.stringify(pick(this.#there("get", target), parsed(options).fields)),
        listObjects: (resource, scope, options) => this.#list(resource, scope, parsed(options)),
        watch: (resource, scope) => this.#watch(resource, scope),
        readLog: (pod) => this.#log(pod),
      },
      "kubernetes-write": {
        create: change((target, body) => this.#create(target, JSON.parse(body))),
        apply: change((target, body) => this.#apply(target, JSON.parse(body))),
        replace: change((target, body) => this.#replace(target, JSON.parse(body))),
        patch: change((target, type, body) => this.#patch(target, type, JSON.parse(body))),
        remove: change((target, options) => this.#remove(target, parsed(options))),
      },
      "kubernetes-exec": {
        exec: (pod, container, command) => {
          if (asked()) throw refusal("denied", "`verify` changes nothing");
          return this.#exec(pod, command);
        },
      },
    };
  }

  #asked(call) {
    this.calls.push(call);
    const error = this.#refused.get(call);
    if (error) throw refusal(error.code, error.message, error.details);
  }

  #there(verb, { resource, namespace, name }) {
    this.#asked(`${verb} ${plural(resource)} ${namespace === undefined ? name : `${namespace}/${name}`}`);
    const object = this.#objects.get(key(resource.plural, namespace, name));
    if (!object) throw refusal("not-found", `${plural(resource)} "${name}" not found`, { status: 404, reason: "NotFound" });
    return object;
  }

  #keep(plural, object, type) {
    this.#versions += 1;
    object.metadata.uid ??= `uid-${this.#versions}`;
    object.metadata.resourceVersion = String(this.#versions);
    this.#objects.set(key(plural, object.metadata.namespace, object.metadata.name), object);
    this.#events.push({ plural, event: { type, object: structuredClone(object) } });
    return object;
  }

  #list(resource, scope, { labels = {}, fields, limit }) {
    this.#asked(`list ${plural(resource)}${scope.tag === "namespace" ? ` in ${scope.val}` : ""}`);
    const fits = ({ metadata }) =>
      (scope.tag !== "namespace" || metadata.namespace === scope.val) &&
      Object.entries(labels).every(([name, value]) => metadata.labels?.[name] === String(value));
    const found = [...this.#objects.entries()].filter(([at, object]) => at.startsWith(`${resource.plural} `) && fits(object));
    const pages = [found.slice(0, limit).map(([, object]) => pick(object, fields))];
    return { next: () => (pages.length ? JSON.stringify(pages.shift()) : undefined) };
  }

  #watch(resource, scope) {
    this.#asked(`watch ${plural(resource)}${scope.tag === "namespace" ? ` in ${scope.val}` : ""}`);
    let seen = 0;
    const fits = ({ plural, event }) =>
      plural === resource.plural && (scope.tag !== "namespace" || event.object.metadata.namespace === scope.val);
    return { next: () => JSON.stringify(this.#events.slice(seen, (seen = this.#events.length)).filter(fits).map(({ event }) => event)) };
  }

  #log({ namespace, name }) {
    this.#asked(`get pods/log ${namespace}/${name}`);
    const pieces = [new TextEncoder().encode(this.#logs.get(`${namespace}/${name}`) ?? "")];
    return { read: () => pieces.shift() };
  }

  #create({ resource, namespace, name }, body) {
    this.#asked(`create ${plural(resource)} ${namespace === undefined ? name : `${namespace}/${name}`}`);
    body.metadata = { ...body.metadata, ...(namespace === undefined ? {} : { namespace }) };
    body.metadata.name ??= `${body.metadata.generateName}${this.#versions + 1}`;
    if (this.#objects.has(key(resource.plural, namespace, body.metadata.name))) {
      throw refusal("exists", `${resource.plural} "${body.metadata.name}" already exists`, { status: 409, reason: "AlreadyExists" });
    }
    return this.#keep(resource.plural, body, "ADDED");
  }

  #apply(target, body) {
    const { resource, namespace, name } = target;
    this.#asked(`apply ${plural(resource)} ${namespace === undefined ? name : `${namespace}/${name}`}`);
    const before = this.#objects.get(key(resource.plural, namespace, name)) ?? { metadata: { name, ...(namespace === undefined ? {} : { namespace }) } };
    return this.#keep(resource.plural, merged(before, body), "MODIFIED");
  }

  #replace(target, body) {
    const before = this.#there("replace", target);
    if (body.metadata?.resourceVersion !== before.metadata.resourceVersion) throw conflict(target);
    return this.#keep(target.resource.plural, body, "MODIFIED");
  }

  #patch(target, type, body) {
    const before = structuredClone(this.#there("patch", target));
    return this.#keep(target.resource.plural, type === "json" ? operated(before, body) : merged(before, body), "MODIFIED");
  }

  #remove(target, options) {
    const { metadata } = this.#there("delete", target);
    const wrong = (option, value) => option !== undefined && option !== value;
    if (wrong(options.uid, metadata.uid) || wrong(options["resource-version"], metadata.resourceVersion)) throw conflict(target);
    const at = key(target.resource.plural, target.namespace, target.name);
    if (options["dry-run"] !== true) {
      this.#events.push({ plural: target.resource.plural, event: { type: "DELETED", object: this.#objects.get(at) } });
      this.#objects.delete(at);
    }
    return { kind: "Status", status: "Success" };
  }

  #exec({ namespace, name }, command) {
    this.#asked(`exec ${namespace}/${name} ${command.join(" ")}`);
    const { stdout, stderr, exit } = this.#programs.get(`${namespace}/${name} ${command.join(" ")}`) ?? NOTHING;
    const pieces = Object.entries({ stdout, stderr }).filter(([, text]) => text);
    return {
      write: () => {},
      closeStdin: () => {},
      read: () => {
        const [stream, text] = pieces.shift() ?? [];
        return stream && { stream, data: new TextEncoder().encode(text) };
      },
      status: () => JSON.stringify({ exit }),
    };
  }
}

const key = (plural, namespace, name) => `${plural} ${namespace ?? ""}/${name}`;
const plural = ({ plural, subresource }) => (subresource ? `${plural}/${subresource}` : plural);
const parsed = (options) => (options ? JSON.parse(options) : {});
const conflict = ({ resource, name }) =>
  refusal("conflict", `${resource.plural} "${name}" is another one by now`, { status: 409, reason: "Conflict" });

/** Of an object only these paths, and what names it. */
function pick(object, fields) {
  if (!fields?.length) return object;
  const picked = { apiVersion: object.apiVersion, kind: object.kind };
  for (const field of fields) {
    const path = field.split(".");
    const value = path.reduce((part, key) => part?.[key], object);
    if (value === undefined) continue;
    path.slice(0, -1).reduce((part, key) => (part[key] ??= {}), picked)[path.at(-1)] = value;
  }
  return picked;
}

/** RFC 7386. */
function merged(before, change) {
  if (typeof change !== "object" || change === null || Array.isArray(change)) return change;
  const after = typeof before === "object" && before !== null && !Array.isArray(before) ? { ...before } : {};
  for (const [key, value] of Object.entries(change)) {
    if (value === null) delete after[key];
    else after[key] = merged(after[key], value);
  }
  return after;
}

/** RFC 6902, without `move` and `copy`. */
function operated(object, operations) {
  for (const { op, path, value } of operations) {
    const keys = path.split("/").slice(1).map((key) => key.replaceAll("~1", "/").replaceAll("~0", "~"));
    const last = keys.pop();
    const parent = keys.reduce((part, key) => part?.[key], object);
    if (parent === undefined) throw refusal("invalid", `the path ${path} is not there`, { status: 422, reason: "Invalid" });
    if (op === "test" && JSON.stringify(parent[last]) !== JSON.stringify(value)) {
      throw refusal("invalid", `the test of ${path} does not hold`, { status: 422, reason: "Invalid" });
    }
    if (op === "remove") Array.isArray(parent) ? parent.splice(Number(last), 1) : delete parent[last];
    if (op === "add" && Array.isArray(parent)) parent.splice(last === "-" ? parent.length : Number(last), 0, value);
    else if (op === "add" || op === "replace") parent[last] = value;
  }
  return object;
}
