//! `docs/tls.md`, followed: an authority is made, server and agent know each other by certificates, a task runs, and both are renewed.

use std::{
    path::Path,
    process::{Command, Output},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};

use crate::{
    cluster_of_two::{Built, CLUSTER, TOKEN},
    process::{Process, free_port, until},
    readme, root,
};

/// What the page runs in terminals of their own.
struct Terminals<'a> {
    built: &'a Built,
    directory: &'a Path,
    http: u16,
    grpc: u16,
    server: Option<Process>,
    agent: Option<Process>,
}

/// Follows the page, and then shows that the agent comes back with its new certificate.
pub(crate) fn walk(built: &Built, directory: &Path) -> Result<()> {
    let (http, grpc) = (free_port(0)?, free_port(0)?);
    let mut terminals = Terminals { built, directory, http, grpc, server: None, agent: None };
    let swaps = [
        ("/tmp/claiflow-tls", directory.display().to_string()),
        ("localhost:8099", format!("localhost:{http}")),
        ("localhost:18099", format!("localhost:{grpc}")),
    ];
    let walked = readme::walk(&root().join("docs/tls.md"), &swaps, |block| match block {
        1 => terminals.serve(),
        2 => terminals.attach(),
        _ => Ok(()),
    });
    walked.and_then(|()| terminals.come_back()).with_context(|| terminals.said())
}

impl Terminals<'_> {
    fn serve(&mut self) -> Result<()> {
        let mut command = Command::new(self.built.program("claiflow-server"));
        command.current_dir(self.directory).args(["config.yaml", "--data-dir", "data"]).args([
            "--http-port",
            &self.http.to_string(),
            "--grpc-port",
            &self.grpc.to_string(),
        ]);
        self.server = Some(Process::start("server", &mut command, self.directory)?);
        until("the server is ready", Duration::from_secs(30), || self.curl("/readyz", None).map(drop))
    }

    fn attach(&mut self) -> Result<()> {
        let mut command = Command::new(self.built.program("claiflow-agent"));
        command
            .current_dir(self.directory)
            .args(["--server", &format!("https://localhost:{}", self.grpc), "--clusteruuid", CLUSTER, "--token", TOKEN])
            .args(["--tls-ca", "ca.crt", "--tls-cert", "agent.crt", "--tls-key", "agent.key", "--state", "agent"])
            .arg("--plugins")
            .arg(&self.built.plugins);
        self.agent = Some(Process::start("agent", &mut command, self.directory)?);
        // It compiles its plugins first, which no reader waits for.
        until("the agent is connected", Duration::from_secs(120), || {
            let said = self.curl(&format!("/api/v1/cluster/{CLUSTER}/session/alive"), None)?;
            ensure!(said.contains(r#""alive":true"#), "{said}");
            Ok(())
        })
    }

    /// The server is started anew: every connection is a new one, with what was renewed.
    fn come_back(&mut self) -> Result<()> {
        if let Some(mut server) = self.server.take() {
            ensure!(server.stop()?.success(), "the server did not end well");
        }
        self.serve()?;
        let uuid = "0000000000000000000000000000000b";
        let task = format!(
            r#"{{"uuid":"{uuid}","template_uuid":"example_simple","cluster_uuids":["{CLUSTER}"],"inputs":{{"name":"again"}}}}"#
        );
        self.curl("/api/v1/service", Some(&task))?;
        until("the task ends", Duration::from_secs(60), || {
            let said = self.curl(&format!("/api/v1/cluster/{CLUSTER}/service/{uuid}/result"), None)?;
            ensure!(said.contains("hello again"), "{said}");
            Ok(())
        })?;
        // A client without a certificate of its own, or without TLS, does not get in.
        for (port, says) in [(self.grpc, "https"), (self.grpc, "http"), (self.http, "http")] {
            let url = format!("{says}://localhost:{port}/");
            let output = self.run(&["--http2-prior-knowledge", &url])?;
            ensure!(!output.status.success(), "{url} was answered: {}", String::from_utf8_lossy(&output.stdout));
        }
        Ok(())
    }

    fn run(&self, arguments: &[&str]) -> Result<Output> {
        let ca = self.directory.join("ca.crt");
        let mut curl = Command::new("curl");
        curl.args(["-sS", "--fail", "--max-time", "20", "--cacert"]).arg(ca).args(arguments);
        curl.output().context("curl is missing")
    }

    /// A call that must be answered with 200.
    fn curl(&self, path: &str, body: Option<&str>) -> Result<String> {
        let url = format!("https://localhost:{}{path}", self.http);
        let mut arguments = vec![url.as_str()];
        arguments.extend(body.map(|_| ["-H", "Content-Type: application/json", "-d"]).into_iter().flatten());
        arguments.extend(body);
        let output = self.run(&arguments)?;
        ensure!(output.status.success(), "{url}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn said(&self) -> String {
        let said = |process: &Option<Process>| process.as_ref().map(Process::said).unwrap_or_default();
        format!("server said:\n{}\nagent said:\n{}", said(&self.server), said(&self.agent))
    }
}
