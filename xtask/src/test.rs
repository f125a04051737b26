//! `test`: sets up what the tests need, runs every one, and ends with one line.

use std::{
    path::Path,
    process::{Command, ExitCode, Stdio},
};

use anyhow::{Context as _, Result};

use crate::{
    cluster_of_two::Built,
    database::{MariaDb, PASSWORD, USER},
    e2e, root,
};

#[derive(Default)]
struct Count {
    passed: usize,
    failed: usize,
    skipped: usize,
}

pub(crate) fn run(strict: bool) -> Result<ExitCode> {
    let mut count = Count::default();
    let built = Built::build()?;
    let directory = tempfile::tempdir()?;
    let maria = directory.path().join("maria");
    std::fs::create_dir_all(&maria)?;
    let database = match MariaDb::start(&maria) {
        Ok(database) => Some(database),
        Err(error) if strict => return Err(error.context("MariaDB cannot be set up")),
        Err(error) => {
            eprintln!("SKIPPED: everything on MariaDB: {error:#}");
            count.skipped += 1;
            None
        }
    };
    let mut variables = vec![
        ("CLAIFLOW_TEST_PLUGINS", built.plugins.display().to_string()),
        ("CLAIFLOW_STRICT", if strict { "1" } else { "0" }.to_owned()),
    ];
    variables.extend(
        database.as_ref().map(|database| {
            ("CLAIFLOW_TEST_MARIADB", format!("mysql://{USER}:{PASSWORD}@127.0.0.1:{}", database.port))
        }),
    );
    let mut cargo = Command::new("cargo");
    cargo.current_dir(root()).args(["test", "--workspace", "--no-fail-fast"]).envs(variables);
    tests(&mut cargo, &mut count)?;
    let mut guests = Command::new("cargo");
    guests.current_dir(root().join("plugins")).args(["test", "--workspace", "--no-fail-fast"]);
    tests(&mut guests, &mut count)?;

    let sqlite = directory.path().join("sqlite");
    stories(&built, &sqlite, None, &mut count)?;
    if let Some(database) = &database {
        stories(&built, &maria, Some(database), &mut count)?;
    }
    if count.skipped > 0 {
        println!("{} passed, {} failed, {} skipped", count.passed, count.failed, count.skipped);
    } else {
        println!("{} passed, {} failed", count.passed, count.failed);
    }
    Ok(if count.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn stories(built: &Built, directory: &Path, database: Option<&MariaDb>, count: &mut Count) -> Result<()> {
    std::fs::create_dir_all(directory)?;
    for (name, outcome) in e2e::run(built, directory, database) {
        match outcome {
            Ok(()) => count.passed += 1,
            Err(error) => {
                eprintln!("FAILED: {name}: {error:#}");
                count.failed += 1;
            }
        }
    }
    Ok(())
}

/// Runs cargo's tests and adds their counts; a run that fails without counting a failure is one.
fn tests(command: &mut Command, count: &mut Count) -> Result<()> {
    eprintln!("→ {command:?}");
    let output = command.stderr(Stdio::inherit()).output().context("cargo could not be started")?;
    let text = String::from_utf8_lossy(&output.stdout);
    eprint!("{text}");
    let before = count.failed;
    for line in text.lines().filter_map(|line| line.split_once("test result: ")).map(|(_, line)| line) {
        let number = |word: &str| {
            let part = line.split([';', '.']).find(|part| part.trim_end().ends_with(word));
            part.and_then(|part| part.split_whitespace().find_map(|word| word.parse::<usize>().ok()))
                .unwrap_or_default()
        };
        count.passed += number("passed");
        count.failed += number("failed");
        count.skipped += number("ignored");
    }
    if !output.status.success() && count.failed == before {
        count.failed += 1;
    }
    Ok(())
}
