// Some of the calls that the probe in Rust makes, answered in the same words: for a test that whoever calls a command cannot tell its
// language.

import { command } from "claiflow";
import { Api } from "claiflow/kubernetes";

/** How many names of a list are answered. */
const NAMES_MAX = 20;
/** How much of a body is answered. */
const BODY_MAX_CHARS = 2_000;

function api({ version = "", resource, namespace }) {
  const kind = { version, plural: resource };
  if (namespace === undefined) return Api.ofCluster(kind);
  return namespace === "*" ? Api.granted(kind) : Api.inNamespace(kind, namespace);
}

function list({ at, query }) {
  const names = [];
  let count = 0;
  for (const object of api(at).list(query)) {
    if (count < NAMES_MAX) names.push(object.metadata.name);
    count += 1;
  }
  return { count, names };
}

async function http({ method = "GET", url, headers = {}, body, credential }) {
  const sent = credential ? { ...headers, "claiflow-credential": credential } : headers;
  const answer = await fetch(url, { method, headers: sent, body });
  const text = await answer.text();
  return { status: answer.status, body: text.slice(0, BODY_MAX_CHARS) };
}

const ACTS = {
  get: ({ at, name, query }) => api(at).get(name, query),
  list,
  create: ({ at, body }) => api(at).create(body),
  patch: ({ at, name, kind, body }) => api(at).patch(name, kind, body),
  remove: ({ at, name }) => api(at).remove(name),
  http,
};

async function outcome(act) {
  const [[name, said]] = Object.entries(act);
  try {
    return { ok: await ACTS[name](said) };
  } catch ({ code = "failed", message, details = {} }) {
    return { error: { code, message, details } };
  }
}

const inputs = {
  type: "object",
  properties: { calls: { type: "array", items: { type: "object" } } },
  required: ["calls"],
};

command("probe.run", { summary: "Calls whatever is listed", effect: "idempotent", inputs }, async ({ calls }) => {
  const outcomes = [];
  for (const act of calls) outcomes.push(await outcome(act));
  return outcomes;
});
