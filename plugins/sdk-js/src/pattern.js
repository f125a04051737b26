// Commands with places in their names, read as the agent reads them: cut at the dots, `{x}` takes one segment, `{x+}` at the end
// takes one or more.

/** Why `name` is no name of a command and no pattern, or undefined. */
export function fault(name) {
  if (typeof name !== "string" || name === "") return "a command has a name";
  if (new TextEncoder().encode(name).length > 128) return "a command's name has at most 128 bytes";
  const segments = name.split(".");
  for (const [index, segment] of segments.entries()) {
    const place = /^\{([A-Za-z0-9_]+)(\+?)\}$/.exec(segment);
    if (!place && !/^[A-Za-z0-9_-]+(\/[A-Za-z0-9_-]+)*$/.test(segment)) {
      return "between the dots of a command's name stand ASCII letters, digits, `_`, `-` and `/` between words, or one place such as `{name}`";
    }
    if (place?.[2] && index < segments.length - 1) return "a place with `+` takes all that is left, so nothing may follow it";
  }
  return undefined;
}

export const isPattern = (name) => name.includes("{");

/** Of several patterns that match, the one with the most words in place of places serves. */
export const words = (pattern) => pattern.split(".").filter((part) => !part.startsWith("{")).length;

/** What the places of `pattern` took from `command`, or undefined where it does not match. */
export function captures(pattern, command) {
  const segments = command.split(".");
  const taken = {};
  for (const part of pattern.split(".")) {
    const segment = segments.shift();
    if (!segment) return undefined;
    const place = /^\{(.*?)(\+?)\}$/.exec(part);
    if (!place) {
      if (part !== segment) return undefined;
    } else {
      taken[place[1]] = place[2] ? [segment, ...segments.splice(0)].join(".") : segment;
    }
  }
  return segments.length === 0 ? taken : undefined;
}
