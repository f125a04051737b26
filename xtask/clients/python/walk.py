"""README's walk with a client that is made from the OpenAPI document: `walk.py ADDRESS TOKEN declare|run`."""

import json
import sys
import time

from claiflow_client import AuthenticatedClient
from claiflow_client.api.cluster import cluster_alive, create_cluster
from claiflow_client.api.cluster_token import create_token
from claiflow_client.api.service import create_services, get_service, get_result
from claiflow_client.api.template import create_template
from claiflow_client.models import ClusterBody, Problem, ServiceBody, TemplateBody, TokenBody

CLUSTER = "0" * 32
PATIENCE_S = 60
EXAMPLES = [
    ("example_simple", [{"$id": "step1", "$command": "helloworld", "inputs": "$inputs"}], {"name": "world"}, "hello world"),
    (
        "example_iter",
        [
            {
                "$id": "step1",
                "$range": "$inputs.x_list",
                "$steps": [{"$id": "step2", "$command": "math_pow", "inputs": {"x": "$step1.val", "y": 2}}],
            }
        ],
        {"x_list": [1, 2, 3, 4, 5]},
        [1, 4, 9, 16, 25],
    ),
]


def answer(said):
    """What a call answered, or its problem as an error."""
    if said is None or isinstance(said, Problem):
        raise SystemExit(f"a call was refused: {said}")
    return said


def declare(client):
    answer(create_cluster.sync(client=client, body=ClusterBody.from_dict({"uuid": CLUSTER, "name": "test cluster"})))
    token = {"name": "test token", "cluster_uuid": CLUSTER, "token": "CLIENT_AUTHENTICATION_TOKEN"}
    answer(create_token.sync(client=client, body=TokenBody.from_dict(token)))
    for uuid, flow, _, _ in EXAMPLES:
        template = TemplateBody.from_dict({"uuid": uuid, "name": uuid, "flow": flow})
        answer(create_template.sync(client=client, body=template))


def run(client):
    for template, _, inputs, result in EXAMPLES:
        body = ServiceBody.from_dict({"template_uuid": template, "cluster_uuids": [CLUSTER], "inputs": inputs})
        [task] = answer(create_services.sync(client=client, body=body))
        until = time.monotonic() + PATIENCE_S
        while not (now := answer(get_service.sync(task.cluster_uuid, task.uuid, client=client))).ended:
            if time.monotonic() > until:
                raise SystemExit(f"the task did not end: {now}")
            time.sleep(0.05)
        stored = answer(get_result.sync(task.cluster_uuid, task.uuid, client=client))
        if json.loads(stored.result) != result:
            raise SystemExit(f"{template} gave {stored.result}")
    wrong = ServiceBody.from_dict({"template_uuid": "nobody", "cluster_uuids": [CLUSTER]})
    told = create_services.sync(client=client, body=wrong)
    if not isinstance(told, Problem) or told.status != 404 or "nobody" not in told.detail:
        raise SystemExit(f"a mistake was told as {told}")
    if not answer(cluster_alive.sync(CLUSTER, client=client)).alive:
        raise SystemExit("the agent is not alive")


address, token, part = sys.argv[1:]
(declare if part == "declare" else run)(AuthenticatedClient(base_url=address, token=token))
