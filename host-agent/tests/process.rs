//! How a program is run: what it is given, what of it is seen, and that it ends. The program is a script that shows or does what a
//! test wants; `cargo xtask test` runs the real Helm on a real cluster.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "all of it is test")]

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, sync::Arc, time::Duration};

use claiflow_agent::process::{Call, Child, Ended, Failure, Login, Order, Processes, Profile, Settings};
use tempfile::TempDir;
use tokio::time::Instant;

const PATIENCE: Duration = Duration::from_secs(60);

/// Programs are this script.
fn processes(directory: &Path, script: &str) -> Arc<Processes> {
    let helm = directory.join("helm");
    fs::write(&helm, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&helm, fs::Permissions::from_mode(0o755)).unwrap();
    let settings = Settings {
        helm,
        search: "/nowhere".into(),
        worker: env!("CARGO_BIN_EXE_claiflow-agent").into(),
        state: directory.join("repositories"),
        scratch: directory.join("process"),
        uid: None,
        plain: Vec::new(),
    };
    Processes::open(settings).unwrap()
}

async fn start(processes: &Processes, profile: Profile, args: &str, login: Option<&str>) -> Result<Child, Failure> {
    let call = Call::read(profile, args)?;
    let login = match processes.wanted(&call).await? {
        Some((credential, url)) => Some((url, Login::read(&credential, login.unwrap().as_bytes())?)),
        None => None,
    };
    let identity =
        profile.needs_cluster().then(|| ("{\"token\":\"planted-token\"}".into(), vec![b"planted-token".to_vec()]));
    let order = Order { call, stdin: Vec::new(), identity, login, is_exclusive: profile.changes_release() };
    processes.start(order, PATIENCE, || Ok::<(), Failure>(())).await
}

/// Standard output, error output, and how it ended.
async fn all(mut child: Child) -> (String, String, Result<Ended, Failure>) {
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    while let Some(piece) = child.read(1 << 20, Instant::now() + PATIENCE).await {
        if piece.is_error { stderr.extend(piece.data) } else { stdout.extend(piece.data) }
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&stdout), text(&stderr), child.wait(PATIENCE).await)
}

const RELEASE: &str = r#"{"name":"web","namespace":"shop"}"#;
const INSTALL: &str = r#"{"name":"web","namespace":"shop","chart":"nginx","repo_url":"https://charts.example.com"}"#;

#[tokio::test]
async fn a_program_finds_what_its_profile_gives_and_nothing_of_the_agents() {
    let directory = TempDir::new().unwrap();
    let processes = processes(
        directory.path(),
        "env; echo \"words: $*\"; echo \"values: $(cat)\"; pwd; ls -ld . kubeconfig; cat $KUBECONFIG; ulimit -c; echo oops >&2; exit 3",
    );
    let (stdout, stderr, ended) = all(start(&processes, Profile::Install, INSTALL, None).await.unwrap()).await;
    assert_eq!((stderr.as_str(), ended), ("oops\n", Ok(Ended::Exit(3))));
    assert!(stdout.contains("words: install --values=- --namespace=shop") && stdout.contains("values: {}"), "{stdout}");
    for line in stdout.lines().take_while(|line| !line.starts_with("words")) {
        let (name, value) = line.split_once('=').unwrap();
        let known = name.starts_with("HELM_")
            || ["HOME", "TMPDIR", "KUBECONFIG", "NO_COLOR", "PWD", "_", "SHLVL", "OLDPWD"].contains(&name);
        assert!(known, "{line}");
        let private = directory.path().join("process").display().to_string();
        assert!(!value.starts_with('/') || value.starts_with(&private) || name == "_", "{line}");
    }
    assert!(stdout.contains("drwx------") && stdout.contains("-rw-------"), "{stdout}");
    assert!(stdout.contains("***") && !stdout.contains("planted"), "{stdout}");
    assert_eq!(fs::read_dir(directory.path().join("process")).unwrap().count(), 0, "its directory is removed");
}

#[tokio::test]
async fn a_program_ends_with_who_listens_to_it() {
    let directory = TempDir::new().unwrap();
    let pid = directory.path().join("pid");
    // Neither it nor what it started heeds what it is asked.
    let script =
        format!("trap '' TERM; sleep 600 & echo $! > {0}.part; mv {0}.part {0}; echo ready; wait; wait", pid.display());
    let processes = processes(directory.path(), &script);
    let mut child = start(&processes, Profile::History, RELEASE, None).await.unwrap();
    let piece = child.read(100, Instant::now() + PATIENCE).await.unwrap();
    assert_eq!(piece.data, b"ready\n");
    let sleeper: u32 = fs::read_to_string(&pid).unwrap().trim().parse().unwrap();
    assert!(is_alive(sleeper));
    drop(child);
    let end = Instant::now() + PATIENCE;
    while is_alive(sleeper) {
        assert!(Instant::now() < end, "it goes on");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn is_alive(id: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}

#[tokio::test]
async fn a_program_that_is_asked_to_end_is_listened_to_until_it_has() {
    let directory = TempDir::new().unwrap();
    let processes = processes(
        directory.path(),
        "trap 'echo taking it back; exit 1' TERM; echo ready; while :; do sleep 0.05; done",
    );
    let mut child = start(&processes, Profile::Upgrade, INSTALL, None).await.unwrap();
    child.read(100, Instant::now() + PATIENCE).await.unwrap();
    child.terminate();
    let (stdout, _, ended) = all(child).await;
    assert_eq!((stdout.as_str(), ended), ("taking it back\n", Ok(Ended::Exit(1))));
}

#[tokio::test]
async fn a_program_that_talks_too_much_is_ended() {
    let directory = TempDir::new().unwrap();
    let processes = processes(directory.path(), "yes");
    let (stdout, _, ended) = all(start(&processes, Profile::History, RELEASE, None).await.unwrap()).await;
    assert_eq!(ended.unwrap_err().code, "too-large");
    assert!(stdout.len() <= 17 << 20, "{}", stdout.len());
}

#[tokio::test]
async fn a_missing_program_is_told_with_what_to_do() {
    let directory = TempDir::new().unwrap();
    let processes = processes(directory.path(), "true");
    fs::remove_file(directory.path().join("helm")).unwrap();
    let failure = start(&processes, Profile::History, RELEASE, None).await.unwrap_err();
    assert_eq!(failure.code, "unavailable");
    assert!(failure.message.contains("`--helm PATH`"), "{failure}");
}

#[tokio::test]
async fn two_calls_of_one_release_take_turns() {
    let directory = TempDir::new().unwrap();
    let lock = directory.path().join("lock");
    let script = format!("mkdir {0} || exit 9; sleep 0.2; rmdir {0}", lock.display());
    let processes = processes(directory.path(), &script);
    let (one, other) = tokio::join!(
        start(&processes, Profile::Install, INSTALL, None),
        start(&processes, Profile::Uninstall, RELEASE, None)
    );
    let ((_, _, one), (_, _, other)) = tokio::join!(all(one.unwrap()), all(other.unwrap()));
    assert_eq!((one, other), (Ok(Ended::Exit(0)), Ok(Ended::Exit(0))));
}

#[tokio::test]
async fn repositories_are_kept_without_their_passwords() {
    let directory = TempDir::new().unwrap();
    let script = "cat repositories.yaml; cat $HELM_REPOSITORY_CACHE/charts-index.yaml 2>/dev/null; \
                  echo fetched > $HELM_REPOSITORY_CACHE/charts-index.yaml";
    let add = r#"{"repo_name":"charts","repo_url":"https://charts.example.com","credential":"charts"}"#;
    let login = Some("ann:planted");
    {
        let processes = processes(directory.path(), script);
        let (stdout, _, ended) = all(start(&processes, Profile::RepoAdd, add, login).await.unwrap()).await;
        assert_eq!(ended, Ok(Ended::Exit(0)));
        assert!(stdout.contains("\"username\":\"ann\"") && stdout.contains("\"password\":\"***\""), "{stdout}");
    }
    let processes = processes(directory.path(), script);
    let (stdout, ..) = all(start(&processes, Profile::RepoList, "{}", None).await.unwrap()).await;
    assert_eq!(stdout, r#"[{"name":"charts","url":"https://charts.example.com"}]"#);
    let update = r#"{"repo_name":"charts"}"#;
    let (stdout, ..) = all(start(&processes, Profile::RepoUpdate, update, login).await.unwrap()).await;
    assert!(stdout.contains("\"password\":\"***\"") && stdout.ends_with("fetched\n"), "{stdout}");

    let kept = fs::read_to_string(directory.path().join("repositories/repositories.json")).unwrap();
    assert!(kept.contains("\"credential\": \"charts\"") && !kept.contains("planted"), "{kept}");
    for (profile, args, code) in [
        (Profile::RepoAdd, r#"{"repo_name":"charts","repo_url":"https://elsewhere.example.com"}"#, "exists"),
        (Profile::RepoUpdate, r#"{"repo_name":"unknown"}"#, "not-found"),
        (Profile::Template, r#"{"name":"web","namespace":"shop","chart":"nginx","repo_name":"unknown"}"#, "not-found"),
    ] {
        assert_eq!(start(&processes, profile, args, login).await.unwrap_err().code, code, "{args}");
    }
    let bearer = start(&processes, Profile::RepoUpdate, update, Some("Bearer planted")).await.unwrap_err();
    assert_eq!(bearer.code, "invalid");
}
