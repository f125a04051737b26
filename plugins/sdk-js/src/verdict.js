// What `verify` answers: whether an earlier attempt of a call took effect.

/** It did, and this is what the call would have answered. */
export const done = (output) => ({ verdict: "done", output });

/** It did not: the call may be made again. */
export const notDone = () => ({ verdict: "not-done" });

/** Nobody can tell, and why. A person settles the task. */
export const unknown = (why) => ({ verdict: "unknown", why });
