"""Write a claiflow plugin: a command is a function from its inputs to its result.

    from claiflow import command

    @command("greet", effect="read")
    def greet(name: str) -> str:
        \"\"\"Greets a person.\"\"\"
        return f"hello {name}"
"""

from . import log, task
from .commands import command
from .context import Context
from .error import PluginError
from .verdict import Done, NotDone, Unknown, Verdict

__all__ = ["Context", "Done", "NotDone", "PluginError", "Unknown", "Verdict", "command", "log", "task"]
