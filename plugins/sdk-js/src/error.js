// Why a command failed.

const EFFECTS = { none: "none", done: "done", unknown: "unknown" };

/** A failure, as the task shows it: a code for programs, one sentence for a person, and details. */
export class PluginError extends Error {
  constructor(code, message, details = {}) {
    super(message);
    this.name = "PluginError";
    this.code = code;
    this.details = { ...details };
  }

  /** Adds whether the call had its effect: `none`, `done` or `unknown`. */
  applied(effect) {
    if (!Object.hasOwn(EFFECTS, effect)) {
      throw new TypeError(`an effect is "none", "done" or "unknown", not ${JSON.stringify(effect)}`);
    }
    this.details.effect = effect;
    return this;
  }

  /** Adds when to try again, in milliseconds from now. */
  retryAfterMs(milliseconds) {
    this.details["retry-after-ms"] = milliseconds;
    return this;
  }

  /** Whether the same call may work later. */
  get mayPassLater() {
    return ["unavailable", "timeout", "conflict", "gone"].includes(this.code);
  }
}

/** Whatever was thrown, as a failure; anything but a PluginError is `failed`. */
export function failureOf(thrown) {
  if (thrown instanceof PluginError) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new PluginError("failed", message || "an error without a message");
}

/** Makes a host call; its failure becomes a PluginError. */
export function asked(call) {
  try {
    return call();
  } catch (thrown) {
    const failure = thrown?.payload ?? thrown;
    if (thrown instanceof PluginError || typeof failure?.code !== "string") throw thrown;
    throw new PluginError(failure.code, failure.message, failure.details ? JSON.parse(failure.details) : {});
  }
}
