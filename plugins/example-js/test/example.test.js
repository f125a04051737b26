import assert from "node:assert/strict";
import { test } from "node:test";
import { Host, run } from "claiflow/testing";
import "../index.js";

test("each command gives what its page says", async () => {
  new Host();
  for (const [command, inputs, expected] of [
    ["helloworld", { name: "world" }, "hello world"],
    ["math_pow", { x: 3, y: 2 }, 9],
    ["swap_command", { param1: "foo", param2: [1] }, { value1: [1], value2: "foo" }],
  ]) {
    assert.deepEqual(await run(command, inputs), expected);
  }
  await assert.rejects(run("math_pow", { x: 10, y: 1000 }), { code: "failed" });
  await assert.rejects(run("helloworld"), { code: "invalid" });
});

test("counting is shown, noted and logged", async () => {
  const host = new Host();
  assert.equal(await run("count", { to: 2 }, { attempt: 3 }), 2);
  assert.deepEqual(host.progress, [[1, 2, "1 of 2"], [2, 2, "2 of 2"]]);
  assert.deepEqual(host.notes, [{ counted: 2 }]);
  assert.deepEqual(host.lines, [{ level: "info", message: "counted", fields: { to: "2", attempt: "3" } }]);
  host.stop = "cancelled";
  await assert.rejects(run("count", { to: 2 }), { code: "stopped" });
});
