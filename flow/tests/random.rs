//! Random text and random flows: nothing panics, and a run that is taken over after any finished step ends as one that
//! was not.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "all of it is test"
)]

use std::{
    collections::BTreeSet,
    hash::{DefaultHasher, Hash, Hasher as _},
    sync::Arc,
};

use claiflow_flow::{Event, Flow, Limits, Machine, Origin, StepError};
use proptest::prelude::*;
use serde_json::{Value, json};

/// Calls after which a random run is no longer of interest.
const CALLS: usize = 30;

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// What a command or an expression gives: the same for the same question.
fn answer(question: &str) -> Value {
    match hash(&question) % 8 {
        0 => json!("[1, {\"a\": 2.0}]"),
        1 => json!({"a": [1.0, null, {"b": "$inputs"}]}),
        2 => json!([1, 2]),
        3 => json!("text"),
        4 => json!("[not json"),
        5 => json!(12_345_678_901_234_567_890_u128),
        6 => json!([]),
        _ => json!(0),
    }
}

struct Run {
    end: Option<Result<Value, StepError>>,
    /// Path and output of each call, in order; those that were replayed are not called again.
    finished: Vec<(String, Value)>,
}

fn run(flow: &Arc<Flow>, inputs: &Value, replayed: &[(String, Value)]) -> Run {
    let mut machine = Machine::new(Arc::clone(flow), inputs.clone(), Limits::default());
    for (path, output) in replayed {
        machine.step(Event::Replayed { path: path.clone(), output: output.clone() });
    }
    let mut progress = machine.step(Event::Start);
    let mut finished = Vec::new();
    loop {
        if progress.done.is_some() || finished.len() >= CALLS {
            return Run { end: progress.done, finished };
        }
        let mut next = None;
        for expression in progress.expressions {
            let question = format!("{}{}{:?}", expression.program, expression.input, expression.variables);
            let outcome = match hash(&question) % 16 {
                0 => Err("refused".to_owned()),
                1 => Ok(Value::Null),
                _ => Ok(answer(&question)),
            };
            let answered = machine.step(Event::Evaluated { id: expression.id, outcome });
            let is_over = answered.done.is_some();
            next = Some(answered);
            // The first one that is refused ends the run; what it ends with is told once.
            if is_over {
                break;
            }
        }
        for call in progress.calls {
            let output = answer(&format!("{}{}", call.path, Value::Object(call.inputs)));
            finished.push((call.path.clone(), output.clone()));
            let bytes = output.to_string().len();
            next = Some(machine.step(Event::Finished { path: call.path, output, bytes }));
        }
        progress = next.expect("something goes on");
    }
}

fn reference() -> impl Strategy<Value = String> {
    let root = prop::sample::select(vec!["$inputs", "$a", "$b", "$r", "$o", "$1", "$[\"my-step\"]", "$ENV", "$"]);
    let part = prop::sample::select(vec![
        ".a",
        ".outputs",
        ".inputs",
        ".val",
        ".key",
        "[0]",
        "[1]",
        ".$a",
        ".$p",
        ".a.outputs",
        "[$r.key]",
        "[$o.val]",
        "[\"a\"]",
        "[",
        ".",
        "$$",
        " // 1",
        " | length",
        " as $a | $a",
        " # ",
        "\"\\(",
        "\"",
        ")",
        " + .x",
        "?",
        "..$a",
    ]);
    (root, prop::collection::vec(part, 0..5)).prop_map(|(root, parts)| format!("{root}{}", parts.concat()))
}

fn template() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        6 => reference().prop_map(Value::from),
        1 => Just(json!("$$literal")),
        1 => Just(json!([1.0, null])),
        1 => any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 6, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map("[a-c]", inner, 0..3).prop_map(|map| map.into_iter().collect()),
        ]
    })
}

fn steps() -> impl Strategy<Value = Value> {
    let id = prop::sample::select(vec![json!("a"), json!("b"), json!("p"), json!(1), json!("my-step"), json!("ENV")]);
    let command = (id, prop::option::of(template()))
        .prop_map(|(id, inputs)| json!({"$id": id, "$command": "c", "inputs": inputs.map(|v| json!({"v": v}))}));
    let hide = prop::sample::select(vec![json!("$inputs.hide"), json!("$inputs.x"), json!(["a", "r[0].p"])]);
    let print = hide.prop_map(|hide| json!({"$id": "print", "$print": {"hide": hide}}));
    let list = |step| prop::collection::vec(step, 1..5).prop_map(distinct);
    let step = command.prop_recursive(3, 12, 3, move |inner| {
        let over = prop_oneof![Just(json!([1, "x", {"a": 0}])), Just(json!([])), reference().prop_map(Value::from)];
        let range = prop::sample::select(vec!["r", "o", "q"]);
        (range, over, list(inner))
            .prop_map(|(id, over, steps)| json!({"$id": id, "$range": over, "$steps": steps}))
            .boxed()
    });
    list(prop_oneof![8 => step, 1 => print].boxed())
}

/// Drops steps whose id stands before in their list, which would be a mistake.
fn distinct(steps: Vec<Value>) -> Value {
    let mut ids = BTreeSet::new();
    steps.into_iter().filter(|step| ids.insert(step["$id"].to_string())).collect()
}

/// A flow without mistakes: what is one becomes a good reference.
fn mended(mut flow: Value) -> Arc<Flow> {
    loop {
        let mistakes = match Flow::parse(&flow.to_string(), Origin::Authored) {
            Ok(flow) => return Arc::new(flow),
            Err(mistakes) => mistakes,
        };
        for mistake in mistakes {
            *flow.pointer_mut(&mistake.pointer).unwrap() = json!("$inputs.a");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_panics_the_parser(text in any::<String>(), reference in "\\$[a$.\\[\\]\"\\\\()#|é 0-9]{0,40}") {
        for origin in [Origin::Authored, Origin::Stored] {
            drop(Flow::parse(&text, origin));
            let flow = json!([{"$id": "a", "$command": "c"}, {"$id": "b", "$command": "c", "inputs": {"v": reference}}]);
            drop(Flow::parse(&flow.to_string(), origin));
        }
    }

    #[test]
    fn a_run_that_is_taken_over_after_any_step_ends_as_one_that_was_not(flow in steps()) {
        let (flow, inputs) = (mended(flow), json!({"a": [0, {"b": 1.0}], "x": 1, "hide": ["b"]}));
        let through = run(&flow, &inputs, &[]);
        for count in 0..=through.finished.len() {
            let (before, after) = through.finished.split_at(count);
            let taken_over = run(&flow, &inputs, before);
            if through.end.is_some() {
                prop_assert_eq!(&taken_over.end, &through.end);
                prop_assert_eq!(&taken_over.finished, after);
            }
        }
    }
}
