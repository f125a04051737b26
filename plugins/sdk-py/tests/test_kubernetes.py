import unittest

from claiflow import PluginError
from claiflow.kubernetes import Api, Resource
from claiflow.testing import Host

PODS = Resource("pods", version="v1")


def pod(name, phase):
    metadata = {"namespace": "shop", "name": name, "labels": {"app": name.split("-")[0]}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "status": {"phase": phase}}


class Kubernetes(unittest.TestCase):
    def setUp(self):
        self.cluster = Host().cluster
        self.pods = Api.in_namespace(PODS, "shop")

    def refused(self, code, call, *arguments, **options):
        with self.assertRaises(PluginError) as raised:
            call(*arguments, **options)
        self.assertEqual(raised.exception.code, code)
        return raised.exception

    def test_objects_are_read_changed_and_removed(self):
        cluster, pods = self.cluster, self.pods
        cluster.put(pod("web-1", "Running"))
        cluster.put(pod("db-1", "Failed"))
        self.assertEqual([it["metadata"]["name"] for it in pods.list(labels={"app": "web"})], ["web-1"])
        self.assertEqual(len(list(pods.list(limit=1))), 1)
        cut = {"apiVersion": "v1", "kind": "Pod", "status": {"phase": "Failed"}}
        self.assertEqual(pods.get("db-1", fields=["status.phase"]), cut)
        self.assertIsNone(pods.find("nobody"))

        changed = pods.patch("web-1", "merge", {"metadata": {"labels": {"app": None, "tier": "2"}}})
        self.assertEqual(changed["metadata"]["labels"], {"tier": "2"})
        pods.patch("web-1", "json", [{"op": "replace", "path": "/status/phase", "value": "Succeeded"}])
        self.assertEqual(cluster.object("pods", "shop", "web-1")["status"]["phase"], "Succeeded")
        self.refused("invalid", pods.patch, "web-1", "json", [{"op": "test", "path": "/status/phase", "value": "x"}])
        self.refused("conflict", pods.replace, "web-1", pod("web-1", "x"))
        self.refused("exists", pods.create, pod("web-1", "x"))
        self.assertEqual(pods.apply("web-2", {"kind": "Pod", "status": {"phase": "New"}})["metadata"]["name"], "web-2")
        self.refused("conflict", pods.remove, "web-2", uid="another")
        pods.remove("web-2")
        self.assertEqual(cluster.calls[-1], "delete pods shop/web-2")
        self.refused("invalid", Api.granted(PODS).get, "web-1")

        cluster.refuse("list pods in shop", PluginError("unavailable", "the API server is away", {"status": 503}))
        error = self.refused("unavailable", lambda: list(pods.list()))
        self.assertEqual((error.may_pass_later, error.details), (True, {"status": 503}))

    def test_changes_logs_and_programs_come_in_pieces(self):
        cluster, pods = self.cluster, self.pods
        events = pods.watch()
        cluster.put(pod("web-1", "Running"))
        self.assertEqual([(it["type"], it["object"]["metadata"]["name"]) for it in events.next(10)], [("ADDED", "web-1")])
        self.assertEqual(events.next(10), [])
        cluster.writes("shop", "web-1", "ready\n")
        log = pods.log("web-1", tail_lines=1)
        self.assertEqual((log.read(10), log.read(10)), (b"ready\n", None))
        cluster.runs("shop", "web-1", ["date"], stdout="today", exit=3)
        program = pods.exec("web-1", ["date"])
        self.assertEqual((program.read(10), program.read(10), program.status()), (("stdout", b"today"), None, {"exit": 3}))


if __name__ == "__main__":
    unittest.main()
