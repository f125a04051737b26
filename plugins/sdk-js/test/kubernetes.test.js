import assert from "node:assert/strict";
import { test } from "node:test";
import { PluginError } from "../src/index.js";
import { Api } from "../src/kubernetes.js";
import { Host } from "../src/testing.js";

const PODS = { version: "v1", plural: "pods" };
const pod = (name, phase) => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { namespace: "shop", name, labels: { app: name.split("-")[0] } },
  status: { phase },
});

test("objects are read, changed and removed", () => {
  const { cluster } = new Host();
  cluster.put(pod("web-1", "Running"));
  cluster.put(pod("db-1", "Failed"));
  const pods = Api.inNamespace(PODS, "shop");
  assert.deepEqual([...pods.list({ labels: { app: "web" } })].map(({ metadata }) => metadata.name), ["web-1"]);
  assert.deepEqual([...pods.list({ limit: 1 })].length, 1);
  assert.deepEqual(pods.get("db-1", { fields: ["status.phase"] }), { apiVersion: "v1", kind: "Pod", status: { phase: "Failed" } });
  assert.equal(pods.find("nobody"), undefined);

  const changed = pods.patch("web-1", "merge", { metadata: { labels: { app: null, tier: "2" } } });
  assert.deepEqual(changed.metadata.labels, { tier: "2" });
  pods.patch("web-1", "json", [{ op: "replace", path: "/status/phase", value: "Succeeded" }]);
  assert.equal(cluster.object("pods", "shop", "web-1").status.phase, "Succeeded");
  assert.throws(() => pods.patch("web-1", "json", [{ op: "test", path: "/status/phase", value: "x" }]), { code: "invalid" });
  assert.throws(() => pods.replace("web-1", pod("web-1", "x")), { code: "conflict" });
  assert.throws(() => pods.create(pod("web-1", "x")), { code: "exists" });
  assert.equal(pods.apply("web-2", { kind: "Pod", status: { phase: "New" } }).metadata.name, "web-2");
  assert.throws(() => pods.remove("web-2", { uid: "another" }), { code: "conflict" });
  pods.remove("web-2");
  assert.equal(cluster.calls.at(-1), "delete pods shop/web-2");
  assert.throws(() => Api.granted(PODS).get("web-1"), { code: "invalid" });

  cluster.refuse("list pods in shop", new PluginError("unavailable", "the API server is away", { status: 503 }));
  assert.throws(() => [...pods.list()], ({ code, mayPassLater, details }) => code === "unavailable" && mayPassLater && details.status === 503);
});

test("changes, logs and programs come in pieces", () => {
  const { cluster } = new Host();
  const pods = Api.inNamespace(PODS, "shop");
  const events = pods.watch();
  cluster.put(pod("web-1", "Running"));
  assert.deepEqual(events.next(10).map(({ type, object }) => [type, object.metadata.name]), [["ADDED", "web-1"]]);
  assert.deepEqual(events.next(10), []);
  cluster.writes("shop", "web-1", "ready\n");
  const log = pods.log("web-1", { tailLines: 1 });
  assert.equal(new TextDecoder().decode(log.read(10)), "ready\n");
  assert.equal(log.read(10), undefined);
  cluster.runs("shop", "web-1", ["date"], { stdout: "today", exit: 3 });
  const program = pods.exec("web-1", ["date"]);
  assert.equal(new TextDecoder().decode(program.read(10).data), "today");
  assert.deepEqual([program.read(10), program.status()], [undefined, { exit: 3 }]);
});
