import assert from "node:assert/strict";
import { test } from "node:test";
import { command, log, PluginError, task, verdict } from "../src/index.js";
import { serve } from "../src/guest.js";
import { captures, fault } from "../src/pattern.js";
import { misfit } from "../src/schema.js";
import { describe, Host, run, verify } from "../src/testing.js";

const named = { type: "object", properties: { name: { type: "string", minLength: 1 } }, required: ["name"] };

command("tool.greet", { summary: "Greets", effect: "read", inputs: named, outputs: { type: "string" } }, ({ name }, context) => {
  log.info("greeting", { name, attempt: context.attempt });
  return `hello ${name}`;
});
command("tool.wait", { effect: "idempotent" }, async () => {
  task.progress(1, 2, "half");
  await task.sleep(250);
  return task.remainingMs();
});
command(
  "tool.{noun}.{verb+}",
  {
    effect: [{ when: ".dry == true", effect: "read" }, { effect: "verify" }],
    verify: (inputs, { notes }) => (notes.length ? verdict.done(notes[0]) : verdict.notDone()),
  },
  (inputs, { captures, effectKey }) => {
    task.note({ key: effectKey });
    return captures;
  },
);
command("tool.fail", {}, ({ how }) => {
  if (how === "code") throw new PluginError("quota-spent", "too many").retryAfterMs(5).applied("none");
  if (how === "bug") undefined.x;
  return how === "bigint" ? 1n : undefined;
});

test("a command says what it is, and what it says is kept", async () => {
  const host = new Host();
  assert.equal(await run("tool.greet", { name: "world" }, { attempt: 2 }), "hello world");
  assert.deepEqual(host.lines, [{ level: "info", message: "greeting", fields: { name: "world", attempt: "2" } }]);
  const [greet, , pattern] = describe("tool", "1.0.0").commands;
  assert.deepEqual(greet, { name: "tool.greet", summary: "Greets", effect: "read", inputs: named, outputs: { type: "string" } });
  assert.equal(pattern.pattern, "tool.{noun}.{verb+}");
});

test("inputs that an agent would refuse are refused", async () => {
  new Host();
  for (const [inputs, part] of [
    [{}, '"name" is a required property'],
    [{ name: 3 }, "/name: is not of type string"],
    [{ name: "" }, "fewer than 1"],
  ]) {
    await assert.rejects(run("tool.greet", inputs), ({ code, message }) => code === "invalid" && message.includes(part));
  }
  await assert.rejects(run("tool.nobody"), { code: "not-found", message: "this plugin has no command `tool.nobody`" });
});

test("a wait takes no time in a test, and ends when somebody cancels", async () => {
  const host = new Host();
  assert.equal(await run("tool.wait"), 60_000);
  assert.deepEqual([host.sleptMs, host.progress], [250, [[1, 2, "half"]]]);
  host.stop = "cancelled";
  await assert.rejects(run("tool.wait"), { code: "stopped", message: "asked to stop: cancelled" });
});

test("places take segments, notes reach the next attempt, and verify leaves nothing behind", async () => {
  const host = new Host();
  assert.deepEqual(await run("tool.pods.list.v1", {}, { effectKey: "k" }), { noun: "pods", verb: "list.v1" });
  assert.deepEqual(host.notes, [{ key: "k" }]);
  assert.deepEqual(await verify("tool.pods.list", {}, { notes: host.notes }), { verdict: "done", output: { key: "k" } });
  assert.deepEqual(await verify("tool.pods.list"), { verdict: "not-done" });
  assert.equal((await verify("tool.greet", { name: "x" })).verdict, "unknown");
  for (let note = 1; note < 16; note++) await run("tool.pods.list");
  await assert.rejects(run("tool.pods.list"), { code: "budget" });
});

test("a failure arrives as the contract's record", async () => {
  const lines = [];
  const imports = { log: { enabled: () => true, write: (level, message) => lines.push([level, message]) } };
  const handler = serve({ name: "tool", version: "1.0.0" }, imports);
  const made = async (how) => {
    try {
      return await handler.run({ command: "tool.fail", inputs: JSON.stringify({ how }), context: "{}" });
    } catch ({ payload }) {
      return payload;
    }
  };
  assert.deepEqual(await made("code"), {
    code: "quota-spent",
    message: "too many",
    details: '{"retry-after-ms":5,"effect":"none"}',
  });
  assert.equal((await made("bug")).code, "failed");
  assert.match(lines[0].join(" "), /^error threw: TypeError/);
  assert.match((await made("bigint")).message, /^the result is not JSON/);
  assert.equal(await made("nothing"), "null");
  assert.equal(JSON.parse(handler.describe()).name, "tool");
});

test("a mistake in a declaration says what would be right", () => {
  const nothing = () => {};
  for (const [name, options, run, part] of [
    ["a b", {}, nothing, "ASCII letters"],
    ["a.{x+}.b", {}, nothing, "nothing may follow"],
    ["tool.greet", {}, nothing, "there already"],
    ["a", { effects: "read" }, nothing, 'no "effects"'],
    ["a", { effect: "maybe" }, nothing, 'one of "read"'],
    ["a", { effect: "verify" }, nothing, "needs `verify`"],
    ["a", { effect: "read", verify: nothing }, nothing, "only asked"],
    ["a", { effect: [{ when: ".x", effect: "read" }] }, nothing, "but the last"],
    ["a", {}, undefined, "the function"],
  ]) {
    assert.throws(() => command(name, options, run), (error) => error.message.includes(part), name);
  }
});

test("patterns and names are those of the agent", () => {
  for (const name of ["math_pow", "restart.run", "a-b.c_d.1", "kubernetes.{resource}.{verb+}"]) assert.equal(fault(name), undefined);
  for (const name of ["", ".a", "a.", "a..b", "ä", "a{x}", "x".repeat(129)]) assert.ok(fault(name), name);
  assert.deepEqual(captures("a.{x}.{y+}", "a.b.c.d"), { x: "b", y: "c.d" });
  for (const [pattern, command] of [["a.{x}", "a.b.c"], ["a.{x}", "a."], ["a.{x}", "b.c"]]) {
    assert.equal(captures(pattern, command), undefined);
  }
});

test("a schema's keywords are checked", () => {
  for (const [schema, value, part] of [
    [{ type: "integer" }, 1.5, "not of type integer"],
    [{ type: ["string", "null"] }, 1, "string or null"],
    [{ enum: [1, "a"] }, 2, "none of"],
    [{ const: "a" }, "b", 'not "a"'],
    [{ minimum: 2 }, 1, "minimum is 2"],
    [{ pattern: "^a$" }, "b", "does not match"],
    [{ items: { type: "string" } }, ["a", 1], "/1"],
    [{ additionalProperties: false }, { a: 1 }, "/a"],
    [{ $defs: { n: { type: "number" } }, properties: { a: { $ref: "#/$defs/n" } } }, { a: "x" }, "/a"],
  ]) {
    assert.ok(misfit(schema, value)?.includes(part), JSON.stringify(schema));
  }
  assert.equal(misfit({ type: "object", properties: { a: { type: "number" } } }, { a: 1, b: null }), undefined);
});
