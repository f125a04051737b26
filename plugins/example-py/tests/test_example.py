import unittest

import example_py  # noqa: F401
from claiflow import Context, PluginError
from claiflow.testing import Host, Line, run


class Example(unittest.TestCase):
    def test_each_command_gives_what_its_page_says(self):
        Host()
        for command, inputs, expected in [
            ("helloworld", {"name": "world"}, "hello world"),
            ("math_pow", {"x": 3, "y": 2}, 9),
            ("math_pow", {"x": 10, "y": 20}, 10**20),
            ("swap_command", {"param1": "foo", "param2": [1]}, {"value1": [1], "value2": "foo"}),
        ]:
            self.assertEqual(run(command, inputs), expected)
        for command, inputs, code in [("math_pow", {"x": 10, "y": 1000}, "failed"), ("helloworld", {}, "invalid")]:
            with self.assertRaises(PluginError) as raised:
                run(command, inputs)
            self.assertEqual(raised.exception.code, code)

    def test_counting_is_shown_noted_and_logged(self):
        host = Host()
        self.assertEqual(run("count", {"to": 2}, Context(attempt=3)), 2)
        self.assertEqual(host.progress, [(1, 2, "1 of 2"), (2, 2, "2 of 2")])
        self.assertEqual(host.notes, [{"counted": 2}])
        self.assertEqual(host.lines, [Line("info", "counted", {"to": "2", "attempt": "3"})])
        host.stop = "cancelled"
        with self.assertRaises(PluginError):
            run("count", {"to": 2})


if __name__ == "__main__":
    unittest.main()
