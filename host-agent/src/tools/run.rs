//! `claiflow-agent run`: one command, its result, and what it used.

use std::{path::PathBuf, sync::Arc};

use crate::{
    executor::commands::{CallDone, CallFailed, Commands as _},
    http::tape as http,
    kubernetes::{
        Cluster,
        tape::{Player, Recorded, Recorder},
    },
    plugin::hex,
    tape::{differences, redacted_text, redacted_value},
};
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::{
    call::Call,
    cassette::{Cassette, CommandFailed},
    report,
    shell::{Manner, Shell},
    stage::{self, Stage, object},
    told,
};

/// A replay needs a namespace for accounts that it never asks for.
const NAMESPACE: &str = "default";

/// See [`super::Tool::Run`].
#[derive(Args, Debug)]
#[command(
    after_help = "The result goes to standard output, log lines and what the call used to standard error. The exit code is 0 where the \
                  command gave a result, 1 where it failed, 2 where it could not be tried. Ctrl-C asks \
                  the command to stop, as a cancelled task does.\n\nExamples:\n  \
                  claiflow-agent run plugins/dist/example.wasm helloworld --inputs '{\"name\":\"world\"}'\n  \
                  claiflow-agent run plugins/dist/tool.wasm tool.restart --inputs @inputs.json --grants grants.yaml --unpinned \
                  --kubeconfig ~/.kube/config --record restart.yaml\n  \
                  claiflow-agent run plugins/dist/tool.wasm --replay restart.yaml --grants grants.yaml --unpinned\n  \
                  claiflow-agent run plugins/dist/tool.wasm tool.restart --context '{\"attempt\":2,\"notes\":[\"begun\"]}'"
)]
pub struct Run {
    #[command(flatten)]
    /// Which command, with what.
    pub call: Call,
    /// Write down what it asks of the cluster and over HTTP and what it gets, without secrets, to be replayed.
    #[arg(long, value_name = "CASSETTE", conflicts_with = "replay")]
    pub record: Option<PathBuf>,
    /// Answer what was recorded, whatever cluster and network there is; the result has to be the recorded one.
    #[arg(long, value_name = "CASSETTE")]
    pub replay: Option<PathBuf>,
    /// Write the result, what the call used and its log as one JSON document.
    #[arg(long)]
    pub json: bool,
}

impl Run {
    /// True: the command gave a result, and in a replay the recorded one.
    pub(super) async fn start(self, program: PathBuf) -> Result<bool, String> {
        let played = self.replay.as_deref().map(Cassette::read).transpose()?;
        let of_cassette = || played.as_ref().map(|cassette| cassette.command.clone());
        let command = self.call.command.clone().or_else(of_cassette);
        let command = command.ok_or("COMMAND is missing; name one of the file's commands, which `inspect` lists")?;
        let inputs = match (self.call.inputs()?, &played) {
            (Some(inputs), _) => inputs,
            (None, Some(cassette)) => object(&cassette.inputs),
            (None, None) => "{}".to_owned(),
        };
        let player = played.as_ref().map(|cassette| Player::new(cassette.kinds.clone(), cassette.calls.clone()));
        let servers = played.as_ref().map(|cassette| http::Player::new(cassette.http.clone()));
        let recorder = self.record.is_some().then(|| (Recorder::new(), http::Recorder::new()));
        let cluster = match &player {
            Some(player) => Some(Cluster::played(player, NAMESPACE.to_owned()).map_err(|error| error.to_string())?),
            None => stage::cluster(&self.call).await?,
        };
        let has_cluster = cluster.is_some();
        let cluster = match (&recorder, cluster) {
            (Some((recorder, _)), Some(cluster)) => Some(cluster.recorded(recorder)),
            (_, cluster) => cluster,
        };
        let tape = match (&servers, &recorder) {
            (Some(player), _) => Some(http::Tape::Player(player.clone())),
            (None, Some((_, recorder))) => Some(http::Tape::Recorder(recorder.clone())),
            (None, None) => None,
        };
        let stage = Stage::open(&self.call, cluster, 1, tape, program).await?;
        stage.check(&command)?;
        let shell = Arc::new(Shell::new(if self.json { Manner::Keep } else { Manner::Show }));
        let effect = stage.effect_of(&command);
        let call = self.call.command_call(command.clone(), inputs.clone(), effect, shell.clone())?;
        let stop = call.stop.clone();
        // Heard from here on, before anything runs. It ends with the program at the latest.
        let mut interrupts =
            signal(SignalKind::interrupt()).map_err(|error| format!("Ctrl-C is not heard: {error}"))?;
        tokio::spawn(async move {
            if interrupts.recv().await.is_some() {
                told("asked to stop; it has a few seconds");
                stop.cancel();
            }
        });
        let outcome = stage.runtime.call(call).await;

        report::print(&outcome, &shell, self.json)?;
        if !has_cluster && outcome.as_ref().is_err_and(|failed| failed.message.contains("this agent has no cluster")) {
            told("pass --kubeconfig FILE to run it on a cluster, or --replay CASSETTE to answer what was recorded");
        }
        if let (Some((recorder, servers)), Some(path)) = (&recorder, &self.record) {
            let inputs = serde_json::from_str(&inputs).unwrap_or_default();
            let digest = hex(&stage.plugin.digest);
            let mut cassette = Cassette::new(&stage.plugin.name, digest, command, redacted_value(inputs, false));
            let is_recorded =
                |line: &&String| ["kubernetes:", "http:", "credentials:"].iter().any(|key| line.starts_with(key));
            cassette.unrecorded = stage.plugin.grants.iter().filter(|line| !is_recorded(line)).cloned().collect();
            cassette.pattern = stage.pattern_of(&cassette.command);
            let Recorded { kinds, exchanges, mut secrets } = recorder.finish()?;
            (cassette.kinds, cassette.calls) = (kinds, exchanges);
            let http::Recorded { exchanges, secrets: of_servers } = servers.finish()?;
            cassette.http = exchanges;
            secrets.extend(of_servers);
            cassette.conclude(&outcome);
            let cassette = cassette.scrubbed(&secrets)?;
            let calls = cassette.calls.len() + cassette.http.len();
            std::fs::write(path, cassette.text()?).map_err(|error| format!("{}: {error}", path.display()))?;
            told(format_args!("recorded {calls} requests in {}", path.display()));
        }
        let as_recorded = match (&player, &servers, &played) {
            (Some(player), Some(servers), Some(cassette)) => self.compare(player, servers, cassette, &outcome),
            _ => true,
        };
        Ok(outcome.is_ok() && as_recorded)
    }

    /// Whether all went as it was recorded; what did not is told.
    fn compare(
        &self,
        player: &Player,
        servers: &http::Player,
        cassette: &Cassette,
        outcome: &Result<CallDone, CallFailed>,
    ) -> bool {
        let missed = [player.missed(), servers.missed()].concat();
        missed.iter().for_each(|missed| told(format_args!("not recorded: {missed}")));
        for (number, function) in player.left() {
            told(format_args!("not asked for: call {number} of the cassette, {function}"));
        }
        for (number, request) in servers.left() {
            told(format_args!("not asked for: request {number} under `http` of the cassette, {request}"));
        }
        let asks_the_same =
            self.call.command.as_ref().is_none_or(|command| *command == cassette.command) && self.call.inputs.is_none();
        let mut same = missed.is_empty();
        if let (Ok(done), Some(recorded), true) = (outcome, &cassette.result, asks_the_same) {
            let differences = differences(recorded, &redacted_value(report::value(&done.output), false));
            if !differences.is_empty() {
                told(format_args!("the result is not the recorded one: it differs in {differences}"));
                same = false;
            }
        }
        same
    }
}

impl Cassette {
    fn conclude(&mut self, outcome: &Result<CallDone, CallFailed>) {
        match outcome {
            Ok(done) => self.result = Some(redacted_value(report::value(&done.output), false)),
            Err(failed) => {
                let message = redacted_text(&failed.message);
                self.failed = Some(CommandFailed { code: failed.code.clone(), message });
            }
        }
    }
}
