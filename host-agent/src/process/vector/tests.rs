//! What is run for which arguments, and which arguments are never run.

use crate::process::{Call, Profile};

use super::steps;

fn run(profile: Profile, args: &str) -> Result<Vec<Vec<String>>, String> {
    let call = Call::read(profile, args).map_err(|failure| failure.message)?;
    Ok(steps(&call, &["127.0.0.1:5000".to_owned()]).runs)
}

#[test]
fn arguments_become_vectors() {
    let cases = include_str!("cases.json");
    let cases: Vec<serde_json::Value> = serde_json::from_str(cases).unwrap();
    for case in cases {
        let profile = Profile::named(case["profile"].as_str().unwrap()).unwrap();
        let runs = run(profile, &case["args"].to_string()).unwrap();
        let runs: Vec<String> = runs.iter().map(|words| words.join(" ")).collect();
        assert_eq!(serde_json::json!(runs), case["runs"], "{} {}", case["profile"], case["args"]);
    }
}

/// Whatever a guest says, no word of its own begins with a dash, and none of Helm's dangerous flags is there.
#[test]
fn no_argument_is_a_flag() {
    let planted = [
        "--post-renderer=/bin/sh",
        "-f",
        "--set-file=a=/proc/1/environ",
        "--kube-as-user=admin",
        "--kubeconfig=/etc/x",
        "x --debug",
        "x\n--debug",
        "../../etc/passwd",
        "/etc/passwd",
        "./chart",
        "",
        "x\0y",
    ];
    let full = serde_json::json!({
        "name": "web", "namespace": "shop", "chart": "nginx", "repo_url": "https://charts.example.com",
        "version": "1.2.3", "credential": "charts", "description": "done", "effect_key": "abc",
    });
    for text in planted {
        for field in ["name", "namespace", "chart", "repo_url", "repo_name", "version", "credential", "effect_key"] {
            let mut args = full.clone();
            args[field] = text.into();
            if field == "repo_name" {
                args["repo_url"] = serde_json::Value::Null;
                args["credential"] = serde_json::Value::Null;
            }
            for profile in [Profile::Install, Profile::Upgrade, Profile::Template] {
                assert!(run(profile, &args.to_string()).is_err(), "{profile}: {field} is {text:?}");
            }
        }
        for profile in [Profile::Rollback, Profile::Uninstall, Profile::History, Profile::Status, Profile::GetValues] {
            for (name, namespace) in [(text, "shop"), ("web", text)] {
                let args = serde_json::json!({"name": name, "namespace": namespace});
                assert!(run(profile, &args.to_string()).is_err(), "{profile}: {name:?} in {namespace:?}");
            }
        }
        for (name, url) in [(text, "https://charts.example.com"), ("charts", text)] {
            let args = serde_json::json!({"repo_name": name, "repo_url": url});
            assert!(run(Profile::RepoAdd, &args.to_string()).is_err(), "{name:?} {url:?}");
        }
        let args = serde_json::json!({"name": "web", "namespace": "shop", "chart": text});
        assert!(run(Profile::Install, &args.to_string()).is_err(), "chart: {text:?}");
    }
}

#[test]
fn what_does_not_fit_is_told_by_name() {
    let base = r#""name":"web","namespace":"shop""#;
    for (profile, args, part) in [
        (Profile::Install, format!("{{{base}}}"), "where the chart is"),
        (
            Profile::Install,
            format!(r#"{{{base},"chart":"a","repo_url":"https://a.example","repo_name":"b"}}"#),
            "not several",
        ),
        (Profile::Install, format!(r#"{{{base},"chart":"a","repo_url":"https://ann:pw@a.example"}}"#), "credential"),
        (Profile::Install, format!(r#"{{{base},"chart":"a","repo_url":"ftp://a.example"}}"#), "https://"),
        (Profile::Install, format!(r#"{{{base},"chart":"https://a.example/chart.zip"}}"#), "`.tgz`"),
        (Profile::Install, format!(r#"{{{base},"chart":"https://a.example/c.tgz","credential":"x"}}"#), "repo_url"),
        (Profile::Install, format!(r#"{{{base},"chart":"oci://ann@a.example/c"}}"#), "oci://registry"),
        (Profile::Install, format!(r#"{{{base},"chart":"oci://a.example/../c"}}"#), "oci://registry"),
        (Profile::Install, format!(r#"{{{base},"archive":"QUJD"}}"#), "no `.tgz`"),
        (Profile::Install, format!(r#"{{{base},"chart":"a","repo_name":"b","post_renderer":"x"}}"#), "post_renderer"),
        (Profile::Install, format!(r#"{{{base},"chart":"a","repo_name":"b","reuse_values":true}}"#), "helm.upgrade"),
        (Profile::Install, format!(r#"{{{base},"chart":"a","repo_name":"b","timeout_s":0}}"#), "timeout_s"),
        (Profile::Install, format!(r#"{{{base},{base},"chart":"a","repo_name":"b"}}"#), "duplicate"),
        (Profile::History, format!(r#"{{{base},"revision":1}}"#), "revision"),
        (Profile::Status, format!(r#"{{{base},"timeout_s":1}}"#), "timeout_s"),
        (Profile::RepoList, r#"{"x":1}"#.to_owned(), "`x`"),
        (
            Profile::RepoAdd,
            r#"{"repo_name":"claiflow-source","repo_url":"https://a.example"}"#.to_owned(),
            "repository name",
        ),
    ] {
        let said = run(profile, &args).unwrap_err();
        assert!(said.contains(part), "{profile} {args}: {part} is not in: {said}");
        assert!(!said.contains("pw@"), "{said}");
    }
}
