import json
import unittest
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal

from claiflow import Context, Done, NotDone, PluginError, Verdict, command, guest, log, outside, pattern, shape, task
from claiflow.testing import Host, Line, describe, run, verify


class Size(Enum):
    SMALL = "small"
    LARGE = "large"


@dataclass
class Order:
    item: str
    size: Size = Size.SMALL
    tags: list[str] = field(default_factory=list)


@command("tool.greet", effect="read")
def greet(name: str, context: Context, times: int = 1) -> str:
    """Greets a person,
    politely.

    At length.
    """
    log.info("greeting", name=name, attempt=context.attempt)
    return " ".join([f"hello {name}"] * times)


@command("tool.order", effect="idempotent")
def order(order: Order) -> Order:
    task.progress(1, 2, "half")
    task.sleep(0.25)
    return order


def placed(context: Context) -> Verdict:
    return Done(context.notes[0]) if context.notes else NotDone()


@command("tool.{noun}.{verb+}", effect=[{"when": ".dry == true", "effect": "read"}, {"effect": "verify"}], verify=placed)
def place(context: Context) -> dict[str, str]:
    task.note({"key": context.effect_key})
    return context.captures


@command("tool.fail", inputs={"type": "object"})
def fail(inputs: dict[str, Any]) -> Any:
    match inputs["how"]:
        case "code":
            raise PluginError("quota-spent", "too many").retry_after_ms(5).applied("none")
        case "bug":
            return None.x  # type: ignore[attr-defined]
        case "set":
            return {1}
        case "nan":
            return float("nan")


class Commands(unittest.TestCase):
    def refused(self, code: str, part: str, name: str, inputs: dict[str, Any]) -> None:
        with self.assertRaises(PluginError) as raised:
            run(name, inputs)
        self.assertEqual(raised.exception.code, code)
        self.assertIn(part, raised.exception.message)

    def test_a_command_says_what_it_is_and_what_it_says_is_kept(self):
        host = Host()
        self.assertEqual(run("tool.greet", {"name": "world", "times": 2}, Context(attempt=2)), "hello world hello world")
        self.assertEqual(host.lines, [Line("info", "greeting", {"name": "world", "attempt": "2"})])
        told, ordered, placed, failed = describe("tool", "1.0.0")["commands"]
        properties = {"name": {"type": "string"}, "times": {"type": "integer"}}
        self.assertEqual(
            told,
            {
                "name": "tool.greet",
                "summary": "Greets a person, politely",
                "effect": "read",
                "inputs": {"type": "object", "properties": properties, "required": ["name"]},
                "outputs": {"type": "string"},
            },
        )
        self.assertEqual(ordered["inputs"]["properties"]["size"], {"enum": ["small", "large"]})
        self.assertEqual((placed["pattern"], failed["effect"]), ("tool.{noun}.{verb+}", "never"))

    def test_inputs_become_the_types_of_the_function(self):
        host = Host()
        answer = run("tool.order", {"item": "tea", "size": "large"})
        self.assertEqual(answer, {"item": "tea", "size": "large", "tags": []})
        self.assertEqual((host.progress, round(host.slept_s, 3)), ([(1, 2, "half")], 0.25))
        for inputs, part in [
            ({}, '"item" is a required property'),
            ({"item": 3}, "/item: is not of type string"),
            ({"item": "tea", "size": "huge"}, "/size: is none of"),
            ({"item": "tea", "tags": ["a", 1]}, "/tags/1: is not of type string"),
        ]:
            self.refused("invalid", part, "tool.order", inputs)
        self.refused("not-found", "no command `tool.nobody`", "tool.nobody", {})
        host.stop = "cancelled"
        self.refused("stopped", "asked to stop: cancelled", "tool.order", {"item": "tea"})

    def test_places_take_segments_notes_reach_the_next_attempt_and_verify_leaves_nothing_behind(self):
        host = Host()
        self.assertEqual(run("tool.pods.list.v1", {}, Context(effect_key="k")), {"noun": "pods", "verb": "list.v1"})
        self.assertEqual(host.notes, [{"key": "k"}])
        self.assertEqual(
            verify("tool.pods.list", {}, Context(notes=host.notes)), {"verdict": "done", "output": {"key": "k"}}
        )
        self.assertEqual(verify("tool.pods.list"), {"verdict": "not-done"})
        self.assertEqual(verify("tool.greet", {"name": "x"})["verdict"], "unknown")
        for _ in range(15):
            run("tool.pods.list")
        self.refused("budget", "at most 16 notes", "tool.pods.list", {})

    def test_a_failure_says_its_code_and_a_mistake_its_place(self):
        host = Host()
        with self.assertRaises(PluginError) as raised:
            run("tool.fail", {"how": "code"})
        self.assertEqual(raised.exception.details_json(), '{"retry-after-ms": 5, "effect": "none"}')
        self.refused("failed", "no attribute 'x'", "tool.fail", {"how": "bug"})
        self.assertIn("in fail", host.lines[-1].fields["traceback"])
        self.refused("failed", "the result is not JSON", "tool.fail", {"how": "set"})
        self.refused("failed", "the result is not JSON", "tool.fail", {"how": "nan"})
        self.assertIsNone(run("tool.fail", {"how": "nothing"}))
        self.assertEqual(json.loads(guest.describe(guest.Plugin("tool", "1")))["name"], "tool")

    def test_a_mistake_in_a_declaration_says_what_would_be_right(self):
        for name, options, part in [
            ("a b", {}, "ASCII letters"),
            ("a.{x+}.b", {}, "nothing may follow"),
            ("tool.greet", {}, "there already"),
            ("a", {"effect": "maybe"}, 'one of "read"'),
            ("a", {"effect": "verify"}, "needs `verify`"),
            ("a", {"effect": "read", "verify": placed}, "only asked"),
            ("a", {"effect": [{"when": ".x", "effect": "read"}]}, "but the last"),
            ("a", {"effect": [{"wenn": ".x", "effect": "read"}]}, 'one of "read"'),
        ]:
            with self.assertRaisesRegex(ValueError, part.replace(".", r"\.")):
                command(name, **options)(placed)
        with self.assertRaisesRegex(TypeError, "no JSON Schema"):
            shape.schema(complex)

    def test_patterns_and_names_are_those_of_the_agent(self):
        for name in ["math_pow", "restart.run", "a-b.c_d.1", "kubernetes.{resource}.{verb+}"]:
            self.assertIsNone(pattern.fault(name), name)
        for name in ["", ".a", "a.", "a..b", "ä", "a{x}", "x" * 129]:
            self.assertIsNotNone(pattern.fault(name), name)
        self.assertEqual(pattern.captures("a.{x}.{y+}", "a.b.c.d"), {"x": "b", "y": "c.d"})
        for wanted, name in [("a.{x}", "a.b.c"), ("a.{x}", "a."), ("a.{x}", "b.c")]:
            self.assertIsNone(pattern.captures(wanted, name))

    def test_types_and_schemas_agree(self):
        for kind, schema, good, bad in [
            (int, {"type": "integer"}, 3, True),
            (float, {"type": "number"}, 3, "3"),
            (bool, {"type": "boolean"}, True, 1),
            (str | None, {"anyOf": [{"type": "string"}, {"type": "null"}]}, None, 1),
            (Literal["a", "b"], {"enum": ["a", "b"]}, "a", "c"),
            (list[int], {"type": "array", "items": {"type": "integer"}}, [1], [1.5]),
            (dict[str, bool], {"type": "object", "additionalProperties": {"type": "boolean"}}, {"a": True}, {"a": 1}),
            (list, {"type": "array"}, [1, "a"], {}),
        ]:
            self.assertEqual(shape.schema(kind), schema)
            self.assertEqual(shape.read(kind, good), good)
            with self.assertRaises(shape.Misfit):
                shape.read(kind, bad)
        self.assertEqual(shape.schema(Any), {})

    def test_what_a_plugin_does_not_ask_for_is_said(self):
        outside.attach({"log": None}, Exception)
        with self.assertRaisesRegex(RuntimeError, 'add it to `capabilities` of `\\[tool.claiflow\\]`'):
            outside.interface("kubernetes_write")


if __name__ == "__main__":
    unittest.main()
