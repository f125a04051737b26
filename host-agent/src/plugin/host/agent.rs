//! `claiflow:plugin/agent` and `agent-control`: the agent itself, for its own plugin. Grants are read at every call.

use std::time::Duration;

use serde_json::Value;

use crate::{
    control::Rested,
    grants::System,
    kubernetes::Failure,
    plugin::{
        bindings::claiflow::plugin::{agent, agent_control, types},
        own_agent::NoPlugins,
        state::CallState,
    },
};

/// What these calls are counted as.
const RESOURCE: &str = "agent";

type Answer<T> = wasmtime::Result<Result<T, types::Failure>>;

impl agent::Host for CallState {
    /// It cannot fail by the contract: who may not know it gets an empty object.
    fn identity(&mut self) -> wasmtime::Result<String> {
        let identity = self.may_control().map(|()| self.standing.caller.surroundings.agent.identity());
        Ok(identity.unwrap_or_else(|_| Value::Object(serde_json::Map::new())).to_string())
    }
}

impl agent_control::Host for CallState {
    async fn drain(&mut self, reason: String, grace_ms: u32) -> Answer<()> {
        let made = self.making("drain").about(RESOURCE);
        let answer = self.let_rest(&reason, Duration::from_millis(grace_ms.into())).await;
        self.made(&made, answer)
    }

    async fn restart(&mut self, reason: String) -> Answer<()> {
        let made = self.making("restart").about(RESOURCE);
        let answer = self.leave_agent(&reason);
        self.made(&made, answer)
    }

    async fn plugins(&mut self) -> Answer<String> {
        let made = self.making("plugins").about(RESOURCE);
        let answer = self.may_control().and_then(|()| {
            let plugins = self.standing.caller.surroundings.agent.plugins();
            plugins.map_err(|NoPlugins| no_plugins())
        });
        let answer = answer.map(|plugins| self.handed(&plugins));
        self.made(&made, answer)
    }

    async fn reload(&mut self) -> Answer<String> {
        let made = self.making("reload").about(RESOURCE);
        let answer = self.look_now().await.map(|plugins| self.handed(&plugins));
        self.made(&made, answer)
    }
}

impl CallState {
    /// # Errors
    /// `denied` where the operator does not say that this plugin is part of the agent; `budget`.
    fn may_control(&self) -> Result<(), Failure> {
        self.standing.count()?;
        let caller = &self.standing.caller;
        let current = caller.surroundings.authority.current();
        let grant = current.grant_of(&caller.plugin, &caller.digest);
        if grant.is_some_and(|grant| grant.system.contains(&System::Agent)) {
            return Ok(());
        }
        let message = format!(
            "`{plugin}` may not touch the agent itself; `plugins: {{{plugin}: {{system: [agent]}}}}` in the grants file \
             would allow it",
            plugin = caller.plugin
        );
        Err(Failure::new("denied", message))
    }

    async fn let_rest(&mut self, reason: &str, grace: Duration) -> Result<(), Failure> {
        self.may_control()?;
        self.standing.may_write(false)?;
        let caller = &self.standing.caller;
        let control = caller.surroundings.agent.control.clone().ok_or_else(nobody)?;
        tracing::info!(plugin = caller.plugin, reason = super::lines::clean(reason, 256), "drains");
        // What is left of the call is also for its answer.
        let grace = grace.min(self.standing.time_left());
        let Rested { handed_back, leased } = control.rest(&caller.task, grace).await.map_err(|_| nobody())?;
        if handed_back + leased > 0 {
            tracing::info!(tasks.handed_back = handed_back, tasks.leased = leased, "drained when the time was over");
        }
        Ok(())
    }

    fn leave_agent(&mut self, reason: &str) -> Result<(), Failure> {
        self.may_control()?;
        self.standing.may_write(false)?;
        let caller = &self.standing.caller;
        let control = caller.surroundings.agent.control.as_ref().ok_or_else(nobody)?;
        self.standing.begin_effect()?;
        tracing::info!(
            plugin = caller.plugin,
            reason = super::lines::clean(reason, 256),
            "leaves once what is left to report is reported"
        );
        control.leave();
        Ok(())
    }

    async fn look_now(&mut self) -> Result<Value, Failure> {
        self.may_control()?;
        self.standing.may_write(false)?;
        let left = self.standing.time_left();
        let agent = &self.standing.caller.surroundings.agent;
        let looked = tokio::time::timeout(left, agent.reload()).await;
        let looked = looked.map_err(|_| {
            Failure::new("timeout", "the plugins are still being looked at: some compile, and go on doing so")
        })?;
        looked.map_err(|NoPlugins| no_plugins())
    }

    fn handed(&mut self, value: &Value) -> String {
        let text = value.to_string();
        self.memory.pass(text.len());
        text
    }
}

fn nobody() -> Failure {
    Failure::new("unavailable", "no agent serves tasks here, or it ends already")
}

fn no_plugins() -> Failure {
    Failure::new("unavailable", "no agent loads plugins here, or it ends already")
}
