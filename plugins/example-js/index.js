// The three commands of the first templates, and one that shows the running task.

import { command, log, PluginError, task } from "claiflow";

const object = (properties) => ({ type: "object", properties, required: Object.keys(properties) });

command(
  "helloworld",
  { summary: "Greets", effect: "read", inputs: object({ name: { type: "string" } }), outputs: { type: "string" } },
  ({ name }) => `hello ${name}`,
);

command(
  "math_pow",
  {
    summary: "x to the power y",
    effect: "read",
    inputs: object({ x: { type: "number" }, y: { type: "number" } }),
    outputs: { type: "number" },
  },
  ({ x, y }) => {
    const result = x ** y;
    if (!Number.isFinite(result)) throw new PluginError("failed", `${x} to the power ${y} is not a finite number`);
    return result;
  },
);

command(
  "swap_command",
  {
    summary: "Gives its two values in the other order",
    effect: "read",
    inputs: object({ param1: {}, param2: {} }),
    outputs: object({ value1: {}, value2: {} }),
  },
  ({ param1, param2 }) => ({ value1: param2, value2: param1 }),
);

command(
  "count",
  {
    summary: "Counts, and says so on the way",
    effect: "idempotent",
    inputs: {
      type: "object",
      properties: {
        to: { type: "integer", minimum: 1, maximum: 100 },
        pause_ms: { type: "integer", minimum: 0, maximum: 1000, default: 1 },
      },
      required: ["to"],
    },
    outputs: { type: "integer" },
  },
  async ({ to, pause_ms = 1 }, context) => {
    for (let done = 1; done <= to; done++) {
      await task.sleep(pause_ms);
      task.progress(done, to, `${done} of ${to}`);
    }
    task.note({ counted: to });
    log.info("counted", { to, attempt: context.attempt });
    return to;
  },
);
