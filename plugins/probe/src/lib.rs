//! Makes the calls into the host that its inputs list, one after the other, and answers what each gave: for tests of
//! what the host allows, answers and counts.

use claiflow_sdk::{Context, Error, Verdict, command};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

mod act;
mod http;

use act::Act;

claiflow_sdk::plugin! { name: "probe", commands: [run, read] }

/// What to call.
#[derive(Deserialize, JsonSchema)]
struct Calls {
    /// Each has one key: see `Act`.
    #[schemars(with = "Vec<Value>")]
    calls: Vec<Act>,
    /// What `verify` calls instead; its answers are the reason why it does not know.
    #[serde(default)]
    #[schemars(with = "Vec<Value>")]
    verify: Vec<Act>,
}

/// Calls whatever is listed. A call that fails ends nothing.
#[command("probe.run", effect = "verify", verify = verified)]
fn run(req: Calls) -> Result<Vec<Value>, Error> {
    Ok(outcomes(req.calls))
}

/// The same, declared as what changes nothing.
#[command("probe.read", effect = "read")]
fn read(req: Calls) -> Result<Vec<Value>, Error> {
    Ok(outcomes(req.calls))
}

fn verified(req: Calls, _: &Context) -> Result<Verdict<Vec<Value>>, Error> {
    Ok(Verdict::Unknown(Value::from(outcomes(req.verify)).to_string()))
}

/// `{"ok": …}` or `{"error": {code, message, details}}`, for each.
fn outcomes(calls: Vec<Act>) -> Vec<Value> {
    let outcome = |act: Act| match act.make() {
        Ok(value) => json!({"ok": value}),
        Err(error) => {
            json!({"error": {"code": error.code(), "message": error.message(), "details": error.details()}})
        }
    };
    calls.into_iter().map(outcome).collect()
}

#[cfg(test)]
mod tests {
    use super::PLUGIN;
    use claiflow_sdk::testing::Cluster;
    use serde_json::json;

    #[test]
    fn it_answers_what_each_call_gave() {
        let cluster = Cluster::new();
        cluster.put(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "a", "name": "one"}}));
        let at = json!({"version": "v1", "resource": "configmaps", "namespace": "a"});
        let calls = json!([{"list": {"at": at}}, {"get": {"at": at, "name": "two"}}]);
        let outcome = PLUGIN.run("probe.read", json!({"calls": calls})).unwrap();
        assert_eq!(outcome[0], json!({"ok": {"count": 1, "names": ["one"]}}));
        assert_eq!(outcome[1]["error"]["code"], "not-found");
    }
}
