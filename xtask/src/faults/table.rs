//! How outcomes are shown: to people as a table, to machines as JSON.

use serde_json::{Value, json};

use super::run::Outcome;

const HEAD: [&str; 10] = [
    "case",
    "engine",
    "tasks",
    "lost",
    "doubled",
    "stale accepted",
    "stale refused",
    "unknown",
    "unexplained",
    "recovered",
];

/// Prints a line for each outcome.
pub(super) fn print(outcomes: &[Outcome]) {
    println!("\n| {} |\n|{}", HEAD.join(" | "), "---|".repeat(HEAD.len()));
    for outcome in outcomes {
        println!("| {} |", cells(outcome).join(" | "));
    }
}

fn cells(outcome: &Outcome) -> [String; HEAD.len()] {
    let found = &outcome.findings;
    let unknown = match found.unknown_not_allowed {
        0 => found.unknown.to_string(),
        wrong => format!("{} ({wrong} not allowed)", found.unknown),
    };
    let recovered = outcome.recovered.map_or_else(|| "never".into(), |time| format!("{:.1} s", time.as_secs_f64()));
    [
        outcome.case.name.into(),
        outcome.kind.word().into(),
        found.tasks.to_string(),
        found.lost.to_string(),
        found.doubled.to_string(),
        found.stale_accepted.to_string(),
        outcome.stale_refused.to_string(),
        unknown,
        found.unexplained.to_string(),
        recovered,
    ]
}

/// Prints the outcomes as a JSON array.
pub(super) fn print_json(outcomes: &[Outcome]) {
    let rows: Vec<Value> = outcomes
        .iter()
        .map(|outcome| {
            json!({
                "case": outcome.case.name,
                "engine": outcome.kind.word(),
                "seed": outcome.seed,
                "good": outcome.is_good(),
                "stale_refused": outcome.stale_refused,
                "recovered_s": outcome.recovered.map(|time| time.as_secs_f64()),
                "found": outcome.findings,
            })
        })
        .collect();
    println!("{}", Value::Array(rows));
}
