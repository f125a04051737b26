//! The program itself, with a configuration of the test's.

use std::{
    fs::File,
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
};

use axum::{body::Body, http::Request};
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::{
    client::{Answer, over_http1},
    server::until,
};

pub(crate) struct Process {
    child: Child,
    pub(crate) directory: TempDir,
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    /// Starts it on ports that the system chooses.
    pub(crate) fn start(directory: TempDir, yaml: &str) -> Self {
        let (config, log) = (directory.path().join("config.yaml"), directory.path().join("log"));
        std::fs::write(&config, yaml).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_claiflow-server"))
            .args(["--http-port", "0", "--grpc-port", "0", "--data-dir"])
            .arg(directory.path().join("data"))
            .arg(config)
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        Self { child, directory }
    }

    fn log(&self) -> PathBuf {
        self.directory.path().join("log")
    }

    pub(crate) fn said(&self) -> String {
        std::fs::read_to_string(self.log()).unwrap()
    }

    /// Where it serves REST, once it does.
    pub(crate) async fn http(&self) -> SocketAddr {
        until(async || self.said().contains("grpc.address")).await;
        let said = self.said();
        let address = said.split("http.address=").nth(1).and_then(|rest| rest.split_whitespace().next());
        address.unwrap().parse().unwrap()
    }

    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status().unwrap();
        assert!(sent.success());
    }

    /// How it ended.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let mut status = None;
        until(|| {
            status = self.child.try_wait().unwrap();
            std::future::ready(status.is_some())
        })
        .await;
        status.unwrap()
    }
}

pub(crate) async fn ask(address: SocketAddr, method: &str, path: &str, body: Option<Value>) -> Answer {
    let request = Request::builder().method(method).uri(path).header("host", "localhost");
    let request = request.header("content-type", "application/json");
    let body = body.map_or_else(Body::empty, |body| body.to_string().into());
    over_http1(TcpStream::connect(address).await.unwrap(), request.body(body).unwrap()).await.unwrap()
}
