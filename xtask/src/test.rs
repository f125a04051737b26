//! `test`: sets up what the tests need, runs every one, and ends with one line.

use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context as _, Result};

use crate::{
    artifacts,
    cluster::{ControlPlane, Programs},
    cluster_of_two::Built,
    database::MariaDb,
    e2e, faults, galera, kubernetes, languages, oidc, openapi, people, prometheus,
    registry::Registry,
    root, traces,
};

/// A part of the tests that can run without the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Part {
    /// Formatting and lints.
    House,
    /// What cargo runs, of the hosts and of the guests.
    Cargo,
    /// End to end on SQLite.
    Sqlite,
    /// End to end on MariaDB.
    Mariadb,
    /// The OpenAPI document: clients that are made from it, and every operation called.
    Openapi,
    /// Plugins that come from a registry.
    Registry,
    /// On a real control plane.
    Kubernetes,
    /// On a Prometheus that watches the server.
    Prometheus,
    /// Spans and log lines of both hosts, on a collector that speaks OTLP.
    Traces,
    /// Three nodes, one of them killed.
    Galera,
    /// The short fault harness.
    Faults,
    /// README's walk, Swagger UI and the demo.
    People,
    /// Callers with tokens of an OpenID Connect provider.
    Oidc,
}

#[derive(Default)]
struct Count {
    passed: usize,
    failed: usize,
    skipped: usize,
}

impl Count {
    fn take(&mut self, outcomes: Vec<(&'static str, Result<()>)>) {
        for (name, outcome) in outcomes {
            match outcome {
                Ok(()) => self.passed += 1,
                Err(error) => {
                    eprintln!("FAILED: {name}: {error:#}");
                    self.failed += 1;
                }
            }
        }
    }

    fn skip(&mut self, what: &str, why: &str) {
        eprintln!("SKIPPED: {what}: {why}");
        self.skipped += 1;
    }
}

/// With `strict`, what cannot be set up fails instead of being skipped. `only`: these parts; none: all.
pub(crate) fn run(strict: bool, only: &[Part]) -> Result<ExitCode> {
    let wanted = |part: Part| only.is_empty() || only.contains(&part);
    let mut count = Count::default();
    if wanted(Part::House) {
        house(&mut count, strict);
    }
    let built = Built::for_tests()?;
    let directory = tempfile::tempdir()?;
    let maria = directory.path().join("maria");
    std::fs::create_dir_all(&maria)?;
    // Nothing is set up that no wanted part uses.
    let needed = |parts: &[Part]| parts.iter().any(|part| wanted(*part));
    let database =
        match needed(&[Part::Cargo, Part::Mariadb, Part::Openapi, Part::Faults]).then(|| MariaDb::start(&maria)) {
            None => None,
            Some(Ok(database)) => Some(database),
            Some(Err(error)) if strict => return Err(error.context("MariaDB cannot be set up")),
            Some(Err(error)) => {
                count.skip("everything on MariaDB", &format!("{error:#}"));
                None
            }
        };

    let mut variables = vec![
        ("CLAIFLOW_TEST_PLUGINS", built.plugins.display().to_string()),
        ("CLAIFLOW_STRICT", if strict { "1" } else { "0" }.to_owned()),
    ];
    let registry = needed(&[Part::Cargo, Part::Registry]).then(|| Registry::start(&directory.path().join("registry")));
    let registry = match registry {
        None => None,
        Some(Ok(registry)) => Some(registry),
        Some(Err(error)) if strict => return Err(error.context("a registry cannot be set up")),
        Some(Err(error)) => {
            count.skip("plugins from a registry", &format!("{error:#}"));
            None
        }
    };
    variables.extend(registry.as_ref().map(|registry| ("CLAIFLOW_TEST_REGISTRY", registry.address.clone())));
    let plane = needed(&[Part::Cargo, Part::Kubernetes]).then(|| {
        Programs::ready().and_then(|programs| ControlPlane::start(programs, &directory.path().join("plane"), 2))
    });
    let plane = match plane {
        None => None,
        Some(Ok(plane)) => Some(plane),
        Some(Err(error)) if strict => return Err(error.context("a control plane cannot be set up")),
        Some(Err(error)) => {
            count.skip("everything on Kubernetes", &format!("{error:#}"));
            None
        }
    };
    variables
        .extend(plane.as_ref().map(|plane| ("CLAIFLOW_TEST_KUBECONFIG", plane.kubeconfig().display().to_string())));
    variables.extend(database.as_ref().map(|database| ("CLAIFLOW_TEST_MARIADB", database.url())));
    if wanted(Part::Cargo) {
        match languages::build(&built.plugins.join("languages")) {
            Ok(()) => count.take(languages::run(&directory.path().join("languages"))),
            Err(error) if strict => return Err(error.context("plugins in JavaScript, Python and Go cannot be built")),
            Err(error) => count.skip("plugins in JavaScript, Python and Go", &format!("{error:#}")),
        }
        let mut cargo = crate::process::cargo();
        cargo.current_dir(root()).args(["test", "--workspace", "--no-fail-fast"]).envs(variables);
        tests(&mut cargo, &mut count)?;
        let mut guests = crate::process::cargo();
        guests.current_dir(root().join("plugins")).args(["test", "--workspace", "--no-fail-fast"]);
        tests(&mut guests, &mut count)?;
    }
    if wanted(Part::Sqlite) {
        let sqlite = directory.path().join("sqlite");
        std::fs::create_dir_all(&sqlite)?;
        count.take(e2e::run(&built, &sqlite, None));
    }
    if wanted(Part::Mariadb)
        && let Some(database) = &database
    {
        count.take(e2e::run(&built, &maria, Some(database)));
    }
    if wanted(Part::Openapi) {
        count.take(openapi::run(&built, &directory.path().join("openapi"), database.as_ref()));
    }
    if wanted(Part::Registry)
        && let Some(registry) = &registry
    {
        count.take(artifacts::run(&built, &directory.path().join("artifacts"), registry));
    }
    if wanted(Part::Kubernetes)
        && let Some(plane) = &plane
    {
        count.take(kubernetes::run(plane, &built, &directory.path().join("kubernetes")));
    }
    if wanted(Part::Prometheus) {
        match prometheus::missing() {
            Some(why) if !strict => count.skip("everything on a Prometheus", &why),
            _ => count.take(prometheus::run(&built, &directory.path().join("prometheus"))),
        }
    }
    if wanted(Part::Traces) {
        count.take(traces::run(&built, &directory.path().join("traces")));
    }
    if wanted(Part::Galera) {
        match galera::missing() {
            Some(why) if !strict => count.skip("everything on Galera", why),
            _ => count.take(galera::run(&built, &directory.path().join("galera"))),
        }
    }
    if wanted(Part::Faults) {
        if database.is_none() {
            count.skip("the faults on MariaDB", "MariaDB is missing");
        }
        count.take(faults::short(database)?);
    }
    if wanted(Part::Oidc) {
        match oidc::missing() {
            Some(why) if !strict => count.skip("callers of an OpenID Connect provider", &why),
            _ => count.take(oidc::run(&built, &directory.path().join("oidc"))),
        }
    }
    if !wanted(Part::People) {
    } else if strict || there("chromedriver") {
        count.take(people::run(&built, &directory.path().join("people")));
    } else {
        count.skip(
            "README's walk, Swagger UI and the demo",
            "chromedriver is missing: apt-get install chromium chromium-driver",
        );
    }

    if count.skipped > 0 {
        println!("{} passed, {} failed, {} skipped", count.passed, count.failed, count.skipped);
    } else {
        println!("{} passed, {} failed", count.passed, count.failed);
    }
    Ok(if count.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The promises about Galera alone.
pub(crate) fn galera() -> Result<ExitCode> {
    let (built, directory, mut count) = (Built::for_tests()?, tempfile::tempdir()?, Count::default());
    count.take(galera::run(&built, directory.path()));
    println!("{} passed, {} failed", count.passed, count.failed);
    Ok(if count.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Formatting and lints, of the hosts and of the guests.
fn house(count: &mut Count, strict: bool) {
    let checks: [(&'static str, &str, &[&str]); 4] = [
        ("the hosts are formatted", ".", &["fmt", "--all", "--check"]),
        ("the guests are formatted", "plugins", &["fmt", "--all", "--check"]),
        ("the hosts have no lint", ".", &["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"]),
        ("the guests have no lint", "plugins", &["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"]),
    ];
    for (name, folder, arguments) in checks {
        let program = format!("cargo-{}", arguments.first().copied().unwrap_or_default());
        if !strict && !there(&program) {
            count.skip(name, &format!("{program} is missing: rustup component add rustfmt clippy"));
            continue;
        }
        let mut cargo = crate::process::cargo();
        cargo.current_dir(root().join(folder)).args(arguments);
        count.take(vec![(name, crate::process::shown(&mut cargo))]);
    }
}

/// Whether a program answers.
fn there(program: &str) -> bool {
    Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
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
