//! A chart repository on loopback: charts that the Helm program packages, served by a few lines of HTTP.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD};

/// What the chart `web` makes: a map, and a Deployment that asks for a node.
const TEMPLATES: [(&str, &str); 3] = [
    (
        "templates/map.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: \"{{ .Release.Name }}-map\"}\ndata: {greeting: {{ .Values.greeting | quote }}, chart: {{ .Chart.Version | quote }}}\n",
    ),
    (
        "templates/deployment.yaml",
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: \"{{ .Release.Name }}\"}\nspec:\n  replicas: {{ .Values.replicas }}\n  selector: {matchLabels: {app: {{ .Values.app | default .Release.Name | quote }}}}\n  template:\n    metadata: {labels: {app: {{ .Values.app | default .Release.Name | quote }}}}\n    spec:\n      nodeSelector: {{ .Values.node | toJson }}\n      containers: [{name: web, image: example.com/web}]\n",
    ),
    ("templates/NOTES.txt", "{{ .Release.Name }} says {{ .Values.greeting }}\n"),
];
const VALUES: &str = "greeting: hello\nreplicas: 1\nnode: {}\napp: \"\"\n";
/// Of the chart that is there.
pub(super) const VERSIONS: [&str; 2] = ["1.0.0", "1.1.0"];

/// Served until dropped.
pub(super) struct Repository {
    pub(super) url: String,
    folder: PathBuf,
    stopped: Arc<AtomicBool>,
    address: String,
}

impl Repository {
    /// Packages the charts and serves them; only to who knows `login`, `user:password`, where one is given.
    pub(super) fn start(helm: &Path, directory: &Path, login: Option<&str>) -> Result<Self> {
        let folder = directory.join("served");
        fs::create_dir_all(&folder)?;
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?.to_string();
        let url = format!("http://{address}");
        for version in VERSIONS {
            let chart = directory.join(format!("web-{version}"));
            fs::create_dir_all(chart.join("templates"))?;
            fs::write(
                chart.join("Chart.yaml"),
                format!("apiVersion: v2\nname: web\nversion: {version}\nappVersion: \"7\"\n"),
            )?;
            fs::write(chart.join("values.yaml"), VALUES)?;
            for (name, text) in TEMPLATES {
                fs::write(chart.join(name), text)?;
            }
            ran(Command::new(helm).arg("package").arg(&chart).arg("--destination").arg(&folder))?;
        }
        ran(Command::new(helm).args(["repo", "index"]).arg(&folder).args(["--url", &url]))?;
        let stopped = Arc::new(AtomicBool::new(false));
        let expected = login.map(|login| format!("Basic {}", STANDARD.encode(login)));
        let (served, stop) = (folder.clone(), stopped.clone());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                // Who goes away in the middle is no concern of the next one.
                let _ = answer(&stream, &served, expected.as_deref());
            }
        });
        Ok(Self { url, folder, stopped, address })
    }

    /// The archive of a version.
    pub(super) fn archive(&self, version: &str) -> PathBuf {
        self.folder.join(format!("web-{version}.tgz"))
    }
}

impl Drop for Repository {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        // It waits for somebody.
        drop(TcpStream::connect(&self.address));
    }
}

fn answer(mut stream: &TcpStream, folder: &Path, expected: Option<&str>) -> Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next().context("no request")??;
    let mut login = None;
    for line in lines {
        let line = line?;
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(": ")
            && name.eq_ignore_ascii_case("authorization")
        {
            login = Some(value.to_owned());
        }
    }
    let path = first.split(' ').nth(1).unwrap_or_default().trim_start_matches('/');
    let is_plain = path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    let (status, body) = match fs::read(folder.join(path)) {
        _ if expected.is_some() && login.as_deref() != expected => ("401 Unauthorized", Vec::new()),
        Ok(body) if is_plain => ("200 OK", body),
        _ => ("404 Not Found", Vec::new()),
    };
    write!(stream, "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len())?;
    Ok(stream.write_all(&body)?)
}

/// Runs Helm as a person would who makes charts.
pub(super) fn ran(command: &mut Command) -> Result<()> {
    let output = command.output().context("helm could not be started")?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
