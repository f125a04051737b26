// README's walk with a client whose types are made from the OpenAPI document: `walk.js ADDRESS TOKEN declare|run`.

import createClient from "openapi-fetch";
import type { paths } from "./schema.js";

const CLUSTER = "00000000000000000000000000000000";
const PATIENCE_MS = 60_000;

const [address, token, part] = process.argv.slice(2);
const api = createClient<paths>({ baseUrl: address ?? "", headers: { Authorization: `Bearer ${token}` } });

/** What a call answered, or its problem as an error. */
function answer<T>(said: { data?: T; error?: unknown; response: Response }): T {
  if (said.data === undefined) {
    throw new Error(`${said.response.url}: ${said.response.status} ${JSON.stringify(said.error)}`);
  }
  return said.data;
}

const examples = [
  {
    uuid: "example_simple",
    flow: [{ $id: "step1", $command: "helloworld", inputs: "$inputs" }],
    inputs: { name: "world" },
    result: "hello world",
  },
  {
    uuid: "example_iter",
    flow: [
      {
        $id: "step1",
        $range: "$inputs.x_list",
        $steps: [{ $id: "step2", $command: "math_pow", inputs: { x: "$step1.val", y: 2 } }],
      },
    ],
    inputs: { x_list: [1, 2, 3, 4, 5] },
    result: [1, 4, 9, 16, 25],
  },
];

async function declare(): Promise<void> {
  answer(await api.POST("/api/v1/cluster", { body: { uuid: CLUSTER, name: "test cluster" } }));
  const body = { name: "test token", cluster_uuid: CLUSTER, token: "CLIENT_AUTHENTICATION_TOKEN" };
  answer(await api.POST("/api/v1/cluster_token", { body }));
  for (const { uuid, flow } of examples) {
    answer(await api.POST("/api/v1/template", { body: { uuid, name: uuid, flow } }));
  }
}

async function run(): Promise<void> {
  for (const { uuid: template_uuid, inputs, result } of examples) {
    const body = { template_uuid, cluster_uuids: [CLUSTER], inputs };
    const [task] = answer(await api.POST("/api/v1/service", { body }));
    if (!task) throw new Error("no task was created");
    const path = { cluster_uuid: task.cluster_uuid, uuid: task.uuid };
    const until = Date.now() + PATIENCE_MS;
    for (;;) {
      const now = answer(await api.GET("/api/v1/cluster/{cluster_uuid}/service/{uuid}", { params: { path } }));
      if (now.ended) break;
      if (Date.now() > until) throw new Error(`the task did not end: ${JSON.stringify(now)}`);
      await new Promise((next) => setTimeout(next, 50));
    }
    const params = { path };
    const stored = answer(await api.GET("/api/v1/cluster/{cluster_uuid}/service/{uuid}/result", { params }));
    if (stored.result !== JSON.stringify(result)) throw new Error(`${template_uuid} gave ${stored.result}`);
  }
  const wrong = { template_uuid: "nobody", cluster_uuids: [CLUSTER] };
  const { error, response } = await api.POST("/api/v1/service", { body: wrong });
  if (response.status !== 404 || !error?.detail?.includes("nobody")) throw new Error(`a mistake was told as ${error}`);
  const path = { cluster_uuid: CLUSTER };
  const alive = answer(await api.GET("/api/v1/cluster/{cluster_uuid}/session/alive", { params: { path } }));
  if (!alive.alive) throw new Error("the agent is not alive");
}

await (part === "declare" ? declare() : run());
