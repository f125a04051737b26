//! The Dockerfiles: what they build is in the workspace, and what they leave behind is one program that is not root.

use super::{documents, list, pod, read};

/// What is wrong with `deploy/<image>.Dockerfile`, which is to hold `program`.
pub(super) fn faults(image: &str, program: &str) -> Vec<String> {
    let file = format!("deploy/{image}.Dockerfile");
    let text = read(&file).replace("\\\n", " ");
    let lines: Vec<&str> =
        text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    let last = lines.iter().rposition(|line| line.starts_with("FROM ")).unwrap_or_default();
    let (build, rest) = lines.split_at(last);
    let build = build.join("\n");
    let word = |line: &str, at: usize| line.split_whitespace().nth(at).unwrap_or_default().to_owned();
    let of = |instruction: &str| rest.iter().find(|line| line.starts_with(instruction)).copied().unwrap_or_default();
    let exposed: Vec<u64> = of("EXPOSE ").split_whitespace().filter_map(|port| port.parse().ok()).collect();
    let checks = [
        ("the toolchain is the workspace's", build.contains(&format!("FROM rust:{}-", toolchain()))),
        ("what is built is locked", build.contains(" --locked ")),
        ("it builds its program", build.contains(&format!("--package {program} --bin {program} "))),
        (
            "the program is a crate of the workspace",
            read(&format!("host-{image}/Cargo.toml")).contains(&format!("name = \"{program}\"")),
        ),
        ("the program has a main", !read(&format!("host-{image}/src/main.rs")).is_empty()),
        (
            "the program leaves the cache mount",
            build.contains(&format!("cp target/release/{program} {}", word(of("COPY "), 2))),
        ),
        ("the last stage copies one thing", rest.iter().filter(|line| line.starts_with("COPY ")).count() == 1),
        ("the last stage copies from the build", word(of("COPY "), 1) == "--from=build"),
        ("what is copied is what runs", of("ENTRYPOINT ") == format!("ENTRYPOINT [\"{}\"]", word(of("COPY "), 3))),
        ("the last stage runs nothing", !rest.iter().any(|line| line.starts_with("RUN "))),
        ("it is not root", of("USER ") == "USER 1002:1002"),
        ("it exposes the ports of its pods", exposed == ports(image)),
        ("secrets and builds stay out of the context", read(&format!("{file}.dockerignore")).contains("**/target")),
    ];
    checks.into_iter().filter(|(_, holds)| !holds).map(|(says, _)| format!("{file}: not so: {says}")).collect()
}

fn toolchain() -> String {
    let manifest = read("Cargo.toml");
    let line = manifest.lines().find_map(|line| line.strip_prefix("rust-version = ")).unwrap_or_default();
    line.trim_matches('"').to_owned()
}

fn ports(base: &str) -> Vec<u64> {
    let documents = documents(&read(&format!("deploy/kubernetes/{base}/deployment.yaml")));
    let containers = documents.iter().filter_map(pod).flat_map(|pod| list(pod, "/spec/containers"));
    containers.flat_map(|it| list(it, "/ports")).filter_map(|port| port["containerPort"].as_u64()).collect()
}
