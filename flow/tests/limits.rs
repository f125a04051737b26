//! The limits of the language, each at its edge, and what hostile flows cost.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "all of it is test"
)]

use std::sync::Arc;

use claiflow_flow::{Call, Event, Flow, Limits, Machine, Origin, StepError};
use serde_json::{Value, json};

/// How a run ended, and what it took.
struct Run {
    end: Result<Value, StepError>,
    calls: usize,
    /// Given to the evaluator, all expressions together.
    expression_bytes: usize,
}

impl Run {
    fn error(self) -> StepError {
        self.end.expect_err("the run fails")
    }
}

/// Runs a flow; each expression gives 1.
fn run(flow: &Value, inputs: Value, mut command: impl FnMut(&Call) -> Value) -> Run {
    let flow = Flow::parse(&flow.to_string(), Origin::Authored).unwrap();
    let mut machine = Machine::new(Arc::new(flow), inputs, Limits::default());
    let mut progress = machine.step(Event::Start);
    let (mut calls, mut expression_bytes) = (0, 0);
    loop {
        if let Some(end) = progress.done {
            return Run { end, calls, expression_bytes };
        }
        let mut next = None;
        for expression in progress.expressions {
            expression_bytes += expression.input.len();
            expression_bytes += expression.variables.iter().map(|(_, text)| text.len()).sum::<usize>();
            next = Some(machine.step(Event::Evaluated { id: expression.id, outcome: Ok(json!(1)) }));
        }
        for call in progress.calls {
            calls += 1;
            let output = command(&call);
            let bytes = output.to_string().len();
            next = Some(machine.step(Event::Finished { path: call.path, output, bytes }));
        }
        progress = next.expect("something goes on");
    }
}

fn numbers(count: usize) -> Value {
    (0..count).collect()
}

#[test]
fn a_range_runs_ten_thousand_iterations_and_no_more() {
    let flow = json!([{"$id": "r", "$range": "$inputs.xs", "$steps": [{"$id": "p", "$command": "c"}]}]);
    let full = run(&flow, json!({"xs": numbers(10_000)}), |_| json!(1));
    assert_eq!((full.calls, full.end.unwrap().as_array().unwrap().len()), (10_000, 10_000));
    let error = run(&flow, json!({"xs": numbers(10_001)}), |_| json!(1)).error();
    assert_eq!((error.code.as_str(), error.pointer.as_str()), ("too-large", "/0/$range"));
    assert!(error.message.contains("10001 elements"), "{error}");
}

#[test]
fn a_step_may_give_one_mebibyte_and_a_range_all_that_its_steps_gave() {
    let text = |bytes: usize| json!("x".repeat(bytes - 2));
    let one = json!([{"$id": "a", "$command": "c"}]);
    assert!(run(&one, json!({}), |_| text(1 << 20)).end.is_ok());
    let error = run(&one, json!({}), |_| text((1 << 20) + 1)).error();
    assert_eq!((error.code.as_str(), error.path.as_str()), ("too-large", "0"));

    let flow = json!([{"$id": "r", "$range": "$inputs.xs", "$steps": [{"$id": "p", "$command": "c"}]}]);
    assert!(run(&flow, json!({"xs": numbers(16)}), |_| text(1 << 20)).end.is_ok());
    let error = run(&flow, json!({"xs": numbers(17)}), |_| text(1 << 20)).error();
    assert_eq!((error.path.as_str(), error.code.as_str()), ("0/r[16]/p", "too-large"));
    assert!(error.message.contains("the outputs of the task exceed"), "{error}");
}

#[test]
fn what_print_gives_counts_as_outputs() {
    let print = |id: &str| json!({"$id": id, "$print": {"hide": []}});
    let flow = json!([{"$id": "a", "$command": "c"}, {"$id": "b", "$command": "c"}, print("p")]);
    let error = run(&flow, json!({}), |_| json!("x".repeat(600_000))).error();
    assert_eq!((error.path.as_str(), error.code.as_str()), ("2", "too-large"));
    let many: Vec<Value> = (0..40).map(|index| print(&format!("p{index}"))).collect();
    let flow: Vec<Value> = [json!({"$id": "a", "$command": "c"})].into_iter().chain(many).collect();
    let error = run(&json!(flow), json!({}), |_| json!("x".repeat(900_000))).error();
    assert!(error.message.contains("the outputs of the task exceed"), "{error}");
}

#[test]
fn ranges_within_ranges_do_not_run_without_end() {
    let innermost = json!({"$id": "e", "$range": [], "$steps": [{"$id": "p", "$command": "never"}]});
    let flow = (0..6)
        .fold(innermost, |inner, depth| json!({"$id": format!("r{depth}"), "$range": "$inputs.xs", "$steps": [inner]}));
    let run = run(&json!([flow]), json!({"xs": numbers(1_000)}), |_| Value::Null);
    assert_eq!(run.calls, 0);
    assert!(run.error().message.contains("at most 100000 steps"));
}

#[test]
fn inputs_are_kept_only_where_something_reads_them_and_then_within_a_limit() {
    let inputs = json!({"xs": numbers(700), "large": "x".repeat(100_000)});
    let range = json!({"$id": "r", "$range": "$inputs.xs", "$steps": [
        {"$id": "p", "$command": "c", "inputs": {"large": "$inputs.large", "i": "$r.val"}},
        {"$id": "q", "$command": "c", "inputs": {"o": "$r[$r.key].$p.outputs"}},
    ]});
    let one = || json!(1);
    assert!(run(&json!([range]), inputs.clone(), |_| one()).end.is_ok());
    for reader in [
        json!({"$id": "z", "$command": "c", "inputs": {"v": "$r[7].$p.inputs.i"}}),
        json!({"$id": "z", "$command": "c", "inputs": {"v": "$r[7]"}}),
        json!({"$id": "z", "$command": "c", "inputs": {"v": "$r[7] | length"}}),
        json!({"$id": "z", "$print": {"hide": ["r"]}}),
    ] {
        let error = run(&json!([range, reader]), inputs.clone(), |_| one()).error();
        assert_eq!(error.code, "too-large", "{reader}");
        assert!(error.message.contains("the inputs that later steps may read"), "{error}");
        assert!(error.path.starts_with("0/r["), "{error:?}");
    }
}

#[test]
fn the_last_elements_of_inner_ranges_are_kept_within_a_limit() {
    let flow = json!([{"$id": "o", "$range": "$inputs.xs", "$steps": [
        {"$id": "i", "$range": ["$inputs.large"], "$steps": [{"$id": "p", "$command": "c"}]}]}]);
    let error = run(&flow, json!({"xs": numbers(700), "large": "x".repeat(100_000)}), |_| json!(1)).error();
    assert_eq!(error.code, "too-large");
}

#[test]
fn a_program_in_a_range_is_given_the_same_amount_in_each_iteration() {
    for program in [
        "$r.val * 2",
        "$r[$r.key].$p.outputs + 1",
        "$p.outputs.x // 0 | length",
        "$r.val | {name: .} | tojson",
        "$inputs.name + \"-\\($r.key)\"",
    ] {
        let flow = json!([{"$id": "r", "$range": "$inputs.xs", "$steps": [
            {"$id": "p", "$command": "c"}, {"$id": "q", "$command": "c", "inputs": {"v": program}}]}]);
        let bytes = |count: usize| {
            let run = run(&flow, json!({"xs": vec![1; count], "name": "n"}), |_| json!({"x": "x".repeat(100)}));
            assert_eq!(run.calls, 2 * count);
            run.expression_bytes
        };
        let (small, large) = (bytes(100), bytes(5_000));
        assert!(large <= small * 55, "{program}: {small} bytes for 100 iterations, {large} for 5,000");
    }
}

#[test]
fn a_template_holds_a_thousand_steps_sixteen_lists_deep() {
    let steps = |count: usize| -> Value {
        (0..count).map(|index| json!({"$id": format!("s{index}"), "$command": "c"})).collect()
    };
    let refused = |flow: &Value| Flow::parse(&flow.to_string(), Origin::Authored).map(drop);
    assert_eq!(refused(&steps(1_000)), Ok(()));
    let mistakes = refused(&steps(1_500)).unwrap_err();
    assert_eq!(mistakes.len(), 1);
    assert_eq!(mistakes[0].pointer, "/1000");
    let nested = |depth: usize| {
        let innermost = json!([{"$id": "p", "$command": "c"}]);
        (1..depth).fold(innermost, |inner, at| json!([{"$id": format!("r{at}"), "$range": [1], "$steps": inner}]))
    };
    assert_eq!(refused(&nested(16)), Ok(()));
    let mistakes = refused(&nested(17)).unwrap_err();
    assert!(mistakes[0].message.contains("deeper than 16"), "{mistakes:?}");
    // Inner steps count too.
    let inner = json!([{"$id": "r", "$range": [1], "$steps": steps(1_000)}]);
    assert!(refused(&inner).unwrap_err()[0].message.contains("at most 1000 steps"));
}

#[test]
fn references_within_references_are_bounded() {
    let nested = |depth: usize| format!("{}$inputs{}", "$inputs[".repeat(depth), "]".repeat(depth));
    for (depth, level) in [(16, 0), (17, 1), (20_000, 1)] {
        let flow = json!([{"$id": "a", "$command": "c", "inputs": {"v": nested(depth)}}]);
        let flow = Flow::parse(&flow.to_string(), Origin::Authored).unwrap();
        assert_eq!(flow.language_level(), level, "{depth}");
    }
}
