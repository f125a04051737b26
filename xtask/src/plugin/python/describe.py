import importlib, json, sys

module, plugin, path = sys.argv[1:]
from claiflow import guest

importlib.import_module(module)
with open(path, "w", encoding="utf-8") as file:
    file.write(guest.describe(guest.Plugin(**json.loads(plugin))))
