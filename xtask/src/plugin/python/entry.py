"""What the component starts with: the author's commands behind the contract's `handler`."""

import json

from wit_world.imports import {{imports}}
from componentize_py_types import Err
from wit_world.imports import claiflow_types

from claiflow import guest

guest.attach({name: module for name, module in globals().items() if name in "{{imports}}".split(", ")}, Err)

import {{module}}  # noqa: E402

PLUGIN = guest.Plugin(**json.loads({{plugin}}))


class Handler:
    """The export `claiflow:plugin/handler`."""

    def describe(self):
        return guest.describe(PLUGIN)

    def run(self, call):
        return self._answer(guest.run, call)

    def verify(self, call):
        return self._answer(guest.verify, call)

    def _answer(self, ask, call):
        answer, error = ask(call.command, call.inputs, call.context)
        if error is None:
            return answer
        raise Err(claiflow_types.Failure(error.code, error.message, error.details_json()))
