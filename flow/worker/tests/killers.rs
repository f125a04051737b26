//! Real workers against expressions that hang or kill a naive jq. This program is its own worker, so it has no harness.

use std::process::ExitCode;

use claiflow_flow::{Expression, INTEGER_KEYS};
use claiflow_flow_worker::Pool;
use serde_json::{Value, json};

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some("jq-worker") {
        return claiflow_flow_worker::serve();
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let count = runtime.block_on(async {
        let pool = Pool::new(std::env::current_exe().unwrap(), 1);
        every_killer_is_one_clear_error(&pool).await + what_is_asked_is_answered(&pool).await
    });
    println!("test result: ok. {count} passed; 0 failed; 0 ignored; 0 measured; 0 filtered out");
    ExitCode::SUCCESS
}

async fn run(pool: &Pool, program: &str, input: Value, variables: Vec<(String, Value)>) -> Result<Value, String> {
    pool.evaluate(vec![Expression { id: 0, program: program.into(), input, variables }]).await.remove(0)
}

async fn every_killer_is_one_clear_error(pool: &Pool) -> usize {
    let killers = [
        "def f: 1+f; f",
        "halt",
        "halt_error",
        "env",
        "$ENV",
        "env.CLAIFLOW_TOKEN",
        "reduce range(1e12) as $i (0; . + $i)",
        "def f: f; f",
        "[recurse([.])] | length",
        "[range(1e9)]",
        "\"x\" * 3000000000",
        "input",
        "inputs",
        "now",
        "debug",
        "stderr",
        "[limit(1e9; repeat(1))]",
        ". |",
        "$nobody",
        "import \"a\" as a; 1",
    ];
    for killer in killers {
        let outcome = run(pool, killer, json!({}), vec![]).await;
        assert!(outcome.as_ref().is_err_and(|message| message.len() > 10), "{killer}: {outcome:?}");
        assert_eq!(run(pool, "1 + 1", Value::Null, vec![]).await, Ok(json!(2)), "after {killer}");
    }
    killers.len()
}

async fn what_is_asked_is_answered(pool: &Pool) -> usize {
    let range = json!({"val": 7, INTEGER_KEYS: [{"p": {"outputs": 4}}, {"p": {"outputs": 5}}]});
    let cases = [
        ("$inputs.x + .z", json!(3)),
        ("$inputs.none // 1", json!(1)),
        ("null, null, \"third\"", json!("third")),
        ("$r[1].p.outputs + $r.val", json!(12)),
        ("$r[0][\"p\"].outputs", json!(4)),
        ("$inputs.big", serde_json::from_str("123456789012345678901234567890").unwrap()),
        ("4 / 2", json!(2)),
        ("[3 / 2, 1e3]", json!([1.5, 1000])),
        ("$inputs | keys | map(ascii_upcase) | join(\",\")", json!("BIG,X,Z")),
        ("empty", Value::Null),
    ];
    let inputs: Value = serde_json::from_str(r#"{"x": 1, "z": 2, "big": 123456789012345678901234567890}"#).unwrap();
    let count = cases.len();
    for (program, expected) in cases {
        let variables = vec![("$inputs".into(), inputs.clone()), ("$r".into(), range.clone())];
        assert_eq!(run(pool, program, inputs.clone(), variables).await, Ok(expected), "{program}");
    }
    assert!(pool.check("$inputs.x | map(.y)", &["$inputs"]).await.is_ok());
    assert!(pool.check("$inputs |", &["$inputs"]).await.is_err());
    assert!(pool.check("env", &[]).await.is_err());
    count + 3
}
