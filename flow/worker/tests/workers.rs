//! Real workers against expressions that hang or kill a naive jq, and parents against workers that misbehave. This program
//! is its own worker, so it has no harness.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "all of it is test"
)]

use std::{env, fs, io::Write as _, os::unix::fs::PermissionsExt as _, path::PathBuf, process::ExitCode};

use claiflow_flow::Expression;
use claiflow_flow_worker::{Fault, Pool};
use serde_json::{Value, json};

fn main() -> ExitCode {
    if env::args().nth(1).as_deref() == Some("jq-worker") {
        return claiflow_flow_worker::serve();
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let count = runtime.block_on(async {
        let pool = Pool::new(env::current_exe().unwrap(), 1);
        let mut count = every_killer_is_one_clear_error(&pool).await;
        count += what_is_asked_is_answered(&pool).await;
        count += others_of_a_batch_keep_their_answers(&pool).await;
        count += a_worker_that_was_killed_while_idle_is_replaced(&pool).await;
        count += nothing_of_the_parent_reaches_a_worker().await;
        count += callers_that_share_a_worker_get_their_own_answers(&pool).await;
        count += a_worker_that_misbehaves_is_one_clear_error().await;
        count += a_program_that_cannot_start_is_not_started_again_and_again().await;
        assert_eq!(zombies(), 0);
        count
    });
    println!("test result: ok. {count} passed; 0 failed; 0 ignored; 0 measured; 0 filtered out");
    ExitCode::SUCCESS
}

fn expression(program: &str, input: &str, variables: &[(&str, &str)]) -> Expression {
    let variables = variables.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    Expression { id: 7, program: program.into(), input: input.into(), variables }
}

/// Whether an outcome is the one that is meant, and says this.
type Judge = fn(&Result<Value, Fault>, &str) -> bool;

/// It has no value for a reason that its author can mend, and is told so.
fn is_at_fault(outcome: &Result<Value, Fault>, part: &str) -> bool {
    matches!(outcome, Err(Fault::Expression(message)) if message.contains(part) && message.len() < 1_000)
}

/// Nobody could say what its value is.
fn is_unasked(outcome: &Result<Value, Fault>, part: &str) -> bool {
    matches!(outcome, Err(Fault::Evaluator(message)) if message.contains(part))
}

async fn run(pool: &Pool, program: &str) -> Result<Value, Fault> {
    pool.evaluate(vec![expression(program, "{}", &[])]).await.remove(0)
}

async fn every_killer_is_one_clear_error(pool: &Pool) -> usize {
    let killers = [
        ("def f: 1+f; f", "ended the evaluator"),
        ("halt", "not available"),
        ("halt(3)", "not available"),
        ("halt_error", "not available"),
        ("env", "not available"),
        ("$ENV", "not available"),
        ("env.CLAIFLOW_TOKEN", "not available"),
        ("$__prog_args", "not available"),
        ("input", "not available"),
        ("inputs", "not available"),
        ("input_line_number", "not available"),
        ("now", "not available"),
        ("localtime", "not available"),
        ("debug", "not available"),
        ("debug(1)", "not available"),
        ("stderr", "not available"),
        ("stderr_empty", "not available"),
        ("get_search_list", "not available"),
        ("$nobody", "`$nobody`"),
        ("reduce range(1e12) as $i (0; . + $i)", "longer than 100 ms"),
        ("def f: f; f", "longer than 100 ms"),
        ("last(range(1e12))", "longer than 100 ms"),
        ("[limit(1e9; repeat(1))]", ""),
        ("[recurse([.])] | length", ""),
        ("[range(1e9)]", ""),
        ("\"x\" * 3000000000", ""),
        ("reduce range(40) as $i (\"x\"; . + .)", ""),
        ("\"x\" * 2000000", "an expression may give 1048576"),
        ("reduce range(200) as $i (0; [.])", "nesting too deep"),
        ("reduce range(200000) as $i (0; [.]) | tojson", ""),
        ("\"[\" * 200000 | fromjson", ""),
        ("1 / 0", "not JSON"),
        ("nan", "not JSON"),
        ("{(1|tojson|tobytes): 1}", "not JSON"),
        ("{} | .[1] = 2", "not JSON"),
        ("{\"$serde_json::private::RawValue\": \"[]\"}", "reserved"),
        ("error(\"x\" * 100000)", "x…"),
        ("error", ""),
        ("\"a\" | test(\"(((a{1000}){1000}){1000})\")", ""),
        (". |", "cannot be parsed"),
        ("(", "cannot be parsed"),
        (". as {x: $a} ?// [$a] | $a", "cannot be parsed"),
        ("\"\\(", "cannot be parsed"),
        ("", "cannot be parsed"),
        ("import \"a\" as a; 1", "cannot be parsed"),
        ("include \"/etc/passwd\"; 1", "cannot be parsed"),
        ("import \"/etc/passwd\" as $x; $x", "ended the evaluator"),
    ];
    for (killer, part) in killers {
        let outcome = run(pool, killer).await;
        assert!(is_at_fault(&outcome, part), "{killer}: {outcome:?}");
        assert_eq!(run(pool, "1 + 1").await, Ok(json!(2)), "after {killer}");
    }
    killers.len()
}

async fn what_is_asked_is_answered(pool: &Pool) -> usize {
    let inputs = r#"{"x": 1, "z": 2, "big": 123456789012345678901234567890, "s": "$x \u0000"}"#;
    let range = r#"{"val": 7, 0: {"p": {"outputs": 4}}, 1: {"p": {"outputs": 5}}}"#;
    let big: Value = serde_json::from_str("123456789012345678901234567890").unwrap();
    let cases = [
        ("$inputs.x + .z", json!(3)),
        ("$inputs.none // 1", json!(1)),
        ("null, null, \"third\"", json!("third")),
        ("$r[1].p.outputs + $r.val", json!(12)),
        ("$r[0].[\"p\"].outputs", json!(4)),
        ("$r[1] | .[\"p\"].outputs", json!(5)),
        ("$r[2]", Value::Null),
        ("$inputs.big", big),
        ("$inputs.s", json!("$x \0")),
        ("4 / 2", json!(2)),
        ("[3 / 2, 1e3, -4.0, 9007199254740991.0]", json!([1.5, 1000, -4, 9_007_199_254_740_991_i64])),
        ("$inputs | keys | map(ascii_upcase) | join(\",\")", json!("BIG,S,X,Z")),
        ("empty", Value::Null),
        ("$inputs as {x: $a} | $a", json!(1)),
        ("@json \"v=\\($inputs.x)\"", json!("v=1")),
        ("def f($a): $a + 1; f($inputs.z)", json!(3)),
        ("[foreach (1, 2) as $i (0; . + $i)]", json!([1, 3])),
        ("0 | todate | fromdate", json!(0)),
        ("\"a,b\" | [splits(\",\")] | reverse", json!(["b", "a"])),
    ];
    let count = cases.len();
    let variables = [("$inputs", inputs), ("$r", range)];
    let batch = cases.iter().map(|(program, _)| expression(program, inputs, &variables)).collect();
    for (outcome, (program, expected)) in pool.evaluate(batch).await.into_iter().zip(cases) {
        assert_eq!(outcome, Ok(expected), "{program}");
    }
    // What is read of a variable decides what is sent of it, so nothing may be changed or found through one.
    for program in ["$v.a = 1", "$v.a |= 2", "del($v.a)", "path($v.a)", "$v.a += 1", "[$v[\"a\"] |= empty]"] {
        let outcome = pool.evaluate(vec![expression(program, "{\"a\": 1}", &[("$v", "{\"a\": 1, \"b\": 2}")])]).await;
        assert!(is_at_fault(&outcome[0], "path"), "{program}: {outcome:?}");
    }
    assert!(pool.check("$inputs.x | map(.y)", &["$inputs"]).await.is_ok());
    assert!(pool.check("$inputs |", &["$inputs"]).await.is_err());
    assert!(pool.check("$inputs | def f: f; f", &["$inputs"]).await.is_ok(), "a check does not run it");
    assert!(pool.check("env", &[]).await.is_err());
    count + 4
}

async fn others_of_a_batch_keep_their_answers(pool: &Pool) -> usize {
    let large = format!("\"{}\"", "y".repeat(900_000));
    let batch = |index: u64| match index % 7 {
        3 => expression("def f: 1+f; f", "{}", &[]),
        5 => expression("$a", "null", &[("$a", &large)]),
        _ => Expression { id: index, ..expression("$a * 2", "null", &[("$a", &index.to_string())]) },
    };
    let outcomes = pool.evaluate((0..70).map(batch).collect()).await;
    assert_eq!(outcomes.len(), 70);
    for (index, outcome) in (0_u64..).zip(outcomes) {
        match index % 7 {
            3 => assert!(is_at_fault(&outcome, "memory"), "{index}"),
            5 => assert_eq!(outcome.unwrap().as_str().unwrap().len(), 900_000),
            _ => assert_eq!(outcome, Ok(json!(index * 2))),
        }
    }
    let huge = "[".repeat(50 << 20);
    let outcomes = pool.evaluate(vec![expression("1", &huge, &[]), expression("2", "null", &[])]).await;
    assert!(is_at_fault(&outcomes[0], "exceed"), "{:?}", outcomes[0]);
    assert_eq!(outcomes[1], Ok(json!(2)));
    2
}

/// The process ids of this process's children that run, and how many have ended without being waited for.
fn children() -> (Vec<u32>, usize) {
    let (mut running, mut ended) = (Vec::new(), 0);
    for entry in fs::read_dir("/proc").unwrap() {
        let name = entry.unwrap().file_name();
        let Ok(process) = name.to_string_lossy().parse::<u32>() else { continue };
        let Ok(stat) = fs::read_to_string(format!("/proc/{process}/stat")) else { continue };
        let mut fields = stat.rsplit(')').next().unwrap().split_whitespace();
        let (state, parent) = (fields.next().unwrap(), fields.next().unwrap());
        if parent == std::process::id().to_string() {
            if state == "Z" { ended += 1 } else { running.push(process) }
        }
    }
    (running, ended)
}

fn zombies() -> usize {
    children().1
}

async fn nothing_of_the_parent_reaches_a_worker() -> usize {
    let file = fs::File::open(env::current_exe().unwrap()).unwrap();
    // A duplicate is passed on to children, unlike what the standard library opens.
    let _passed_on = rustix::io::dup(&file).unwrap();
    let (before, _) = children();
    let pool = Pool::new(env::current_exe().unwrap(), 1);
    assert_eq!(run(&pool, "1").await, Ok(json!(1)));
    let worker = children().0.into_iter().find(|process| !before.contains(process)).unwrap();
    let descriptors: Vec<_> = fs::read_dir(format!("/proc/{worker}/fd")).unwrap().map(|e| e.unwrap()).collect();
    assert_eq!(descriptors.len(), 3, "{descriptors:?}");
    assert_eq!(fs::read(format!("/proc/{worker}/environ")).unwrap(), b"");
    let limits = fs::read_to_string(format!("/proc/{worker}/limits")).unwrap();
    let memory = limits.lines().find(|line| line.starts_with("Max address space")).unwrap();
    assert!(memory.contains("268435456"), "{memory}");
    assert_eq!(zombies(), 0, "every killed worker was waited for");
    4
}

async fn a_worker_that_was_killed_while_idle_is_replaced(pool: &Pool) -> usize {
    let (running, _) = children();
    let [worker] = running.as_slice() else { panic!("one worker is kept warm, not {running:?}") };
    let process = rustix::process::Pid::from_raw((*worker).try_into().unwrap()).unwrap();
    rustix::process::kill_process(process, rustix::process::Signal::KILL).unwrap();
    while fs::read_to_string(format!("/proc/{worker}/stat")).is_ok_and(|stat| !stat.contains(") Z ")) {
        tokio::task::yield_now().await;
    }
    assert_eq!(run(pool, "1 + 2").await, Ok(json!(3)));
    1
}

async fn callers_that_share_a_worker_get_their_own_answers(pool: &Pool) -> usize {
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..20 {
        let pool = pool.clone();
        callers.spawn(async move {
            let program = if caller % 5 == 4 { "def f: f; f".to_owned() } else { format!("{caller} + 1") };
            (caller, run(&pool, &program).await)
        });
    }
    while let Some(outcome) = callers.join_next().await {
        let (caller, outcome) = outcome.unwrap();
        match caller % 5 {
            4 => assert!(is_at_fault(&outcome, "100 ms")),
            _ => assert_eq!(outcome, Ok(json!(caller + 1))),
        }
    }
    // A caller that goes away takes its worker along, so nobody gets its answer.
    let call = run(pool, "def f: f; f");
    assert!(tokio::time::timeout(std::time::Duration::from_millis(20), call).await.is_err());
    assert_eq!(run(pool, "5").await, Ok(json!(5)));
    2
}

/// A program that behaves as `script` says.
fn fake(folder: &tempfile::TempDir, name: &str, script: &str) -> PathBuf {
    let path = folder.path().join(name);
    let mut file = fs::File::create(&path).unwrap();
    write!(file, "#!/bin/sh\n{script}\n").unwrap();
    drop(file);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

async fn a_worker_that_misbehaves_is_one_clear_error() -> usize {
    let folder = tempfile::tempdir().unwrap();
    let cases: [(_, _, Judge, _); 9] = [
        (
            "a huge length",
            r"printf 'R\377\377\377\377'; exec cat >/dev/null",
            is_unasked,
            "no valid answer: it is too long",
        ),
        (
            "garbage",
            r"printf 'R\000\000\000\003abc'; exec cat >/dev/null",
            is_unasked,
            "no valid answer: it is not of the protocol",
        ),
        (
            "another's answer",
            r#"printf 'R\000\000\000\036{"id":99,"outcome":{"Ok":"1"}}'; exec cat >/dev/null"#,
            is_unasked,
            "no valid answer: it answers another request",
        ),
        ("half an answer", r"printf 'R\000\000\000\100half'", is_at_fault, "memory"),
        ("a flood", r"printf R; while :; do printf '\000\000\000\004null'; done", is_unasked, "no valid answer"),
        ("silence", r"printf R; exec sleep 1000", is_at_fault, "100 ms"),
        ("death at the first request", r"printf R; head -c 1 >/dev/null", is_at_fault, "memory"),
        ("another program", r"echo hello; exec cat >/dev/null", is_unasked, "it is another program"),
        ("an early end", r"exit 3", is_unasked, "exit status: 3"),
    ];
    let count = cases.len();
    for (name, script, is_as_expected, part) in cases {
        let pool = Pool::new(fake(&folder, &name.replace(' ', "-"), script), 1);
        let outcome = run(&pool, "1").await;
        assert!(is_as_expected(&outcome, part), "{name}: {outcome:?}");
    }
    count
}

async fn a_program_that_cannot_start_is_not_started_again_and_again() -> usize {
    let folder = tempfile::tempdir().unwrap();
    let starts = folder.path().join("starts");
    let script = format!("echo >> {}; exit 1", starts.display());
    let pool = Pool::new(fake(&folder, "broken", &script), 1);
    let outcomes = pool.evaluate((0..50).map(|_| expression("1", "null", &[])).collect()).await;
    assert!(outcomes.iter().all(|outcome| is_unasked(outcome, "cannot be started")));
    assert_eq!(fs::read_to_string(&starts).unwrap().lines().count(), 3, "one attempt and two more for the whole batch");
    let missing = Pool::new(folder.path().join("missing"), 1);
    let outcome = run(&missing, "1").await;
    assert!(is_unasked(&outcome, "No such file"), "{outcome:?}");
    2
}
