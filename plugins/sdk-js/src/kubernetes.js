// The cluster's API, as far as the operator granted it. Needs "kubernetes" among the capabilities, "kubernetes-write" and
// "kubernetes-exec" for what changes something.

import { asked, PluginError } from "./error.js";
import { outside } from "./outside.js";

/** Bytes that are asked for at once. */
const PIECE_BYTES = 64 << 10;

/** Options as the contract has them: `fieldSelector` is `field-selector`. */
function text(options = {}) {
  const entries = Object.entries(options).filter(([, value]) => value !== undefined);
  return JSON.stringify(
    Object.fromEntries(entries.map(([key, value]) => [key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`), value])),
  );
}

const read = (call) => JSON.parse(asked(call));

/** What this plugin may touch here: what the grant names and the cluster has. */
export const granted = () => read(() => outside("kubernetes").resources());

/** One resource in one place. */
export class Api {
  #resource;
  #scope;

  constructor(resource, scope) {
    this.#resource = { group: "", version: "", subresource: "", ...resource };
    this.#scope = scope;
  }

  /** Objects of a kind that lies in namespaces, in one of them. */
  static inNamespace = (resource, namespace) => new Api(resource, { tag: "namespace", val: namespace });
  /** Objects of a kind that lies in no namespace. */
  static ofCluster = (resource) => new Api(resource, { tag: "cluster" });
  /** Objects in every namespace that the grant names: to list and to watch. */
  static granted = (resource) => new Api(resource, { tag: "granted" });

  /** The same objects' subresource, such as `scale`. */
  sub(subresource) {
    return new Api({ ...this.#resource, subresource }, this.#scope);
  }

  #object(name) {
    if (this.#scope.tag === "granted") {
      throw new PluginError("invalid", `say in which namespace \`${name}\` of ${this.#resource.plural} is`);
    }
    return { resource: this.#resource, namespace: this.#scope.val, name };
  }

  /** One object. Options: `fields`. */
  get(name, options) {
    return read(() => outside("kubernetes").get(this.#object(name), text(options)));
  }

  /** One object, or undefined where there is none of this name. */
  find(name, options) {
    try {
      return this.get(name, options);
    } catch (error) {
      // A kind that is not known has no answer of the API server.
      if (error.code === "not-found" && error.details.status === 404) return undefined;
      throw error;
    }
  }

  /** All objects, page by page. Options: `labels`, `fieldSelector`, `fields`, `limit`, `metadataOnly`. */
  *list(options) {
    const pages = asked(() => outside("kubernetes").listObjects(this.#resource, this.#scope, text(options)));
    let left = options?.limit ?? Infinity;
    for (let page; left > 0 && (page = asked(() => pages.next())) !== undefined; ) {
      for (const object of JSON.parse(page).slice(0, left)) {
        left -= 1;
        yield object;
      }
    }
  }

  /** What changes from now on. Options as of `list`, and `resourceVersion`. Its `next` waits for a list of `{type, object}`. */
  watch(options) {
    const events = asked(() => outside("kubernetes").watch(this.#resource, this.#scope, text(options)));
    return { next: (timeoutMs) => read(() => events.next(timeoutMs)) };
  }

  /** A pod's log. Its `read` gives bytes: undefined at the end, none when nothing came in time. */
  log(pod, options) {
    const bytes = asked(() => outside("kubernetes").readLog(this.#object(pod), text(options)));
    return { read: (timeoutMs) => asked(() => bytes.read(PIECE_BYTES, timeoutMs)) };
  }

  /** Makes an object; its name is in the body. */
  create(body, options) {
    const target = this.#object(body?.metadata?.name ?? "");
    return read(() => outside("kubernetes-write").create(target, JSON.stringify(body), text(options)));
  }

  /** Server-side apply. Option `force` needs the verb `force-apply`. */
  apply(name, body, options) {
    return read(() => outside("kubernetes-write").apply(this.#object(name), JSON.stringify(body), text(options)));
  }

  /** Puts the body in place of the object. It needs `metadata.resourceVersion`. */
  replace(name, body, options) {
    return read(() => outside("kubernetes-write").replace(this.#object(name), JSON.stringify(body), text(options)));
  }

  /** Changes the object; `type` is `json`, `merge` or `strategic`. */
  patch(name, type, body, options) {
    return read(() => outside("kubernetes-write").patch(this.#object(name), type, JSON.stringify(body), text(options)));
  }

  /** Removes one object. Options: `uid`, `resourceVersion`, `propagation`, `graceSeconds`, `dryRun`. */
  remove(name, options) {
    return read(() => outside("kubernetes-write").remove(this.#object(name), text(options)));
  }

  /** Runs a program in a container. Options: `container`, `stdin`, `tty`. */
  exec(pod, command, { container = "", ...options } = {}) {
    const running = asked(() => outside("kubernetes-exec").exec(this.#object(pod), container, command, text(options)));
    return {
      write: (bytes) => asked(() => running.write(bytes)),
      closeInput: () => running.closeStdin(),
      /** `{stream, data}`, undefined once it wrote all. */
      read: (timeoutMs) => asked(() => running.read(PIECE_BYTES, timeoutMs)),
      /** `{exit}` or `{error}`, once `read` gave undefined. */
      status: () => read(() => running.status()),
    };
  }
}
