//! A plugin and its commands; the same in a laptop's test as in a sandbox.

use serde_json::{Value, json};

use crate::{Context, Error, pattern};

/// What a crate serves, made by [`plugin!`](crate::plugin!).
#[derive(Debug)]
pub struct Plugin {
    /// The file's stem: `restart-tool` of `restart-tool.wasm`.
    pub name: &'static str,
    /// The crate's.
    pub version: &'static str,
    /// At most 512.
    pub commands: &'static [Command],
    #[doc(hidden)]
    pub config: Option<fn() -> Value>,
}

/// One command, made by [`#[command]`](macro@crate::command).
#[derive(Debug)]
pub struct Command {
    /// The name, or the pattern's text.
    pub name: &'static str,
    pub(crate) is_pattern: bool,
    /// A JSON object: what is known of the command when it is compiled.
    pub(crate) entry: &'static str,
    pub(crate) inputs: fn() -> Value,
    pub(crate) outputs: fn() -> Value,
    pub(crate) run: Call,
    pub(crate) verify: Option<Call>,
}

/// Inputs as JSON text to an answer as JSON text.
pub(crate) type Call = fn(&str, &Context) -> Result<String, Error>;

impl Plugin {
    /// What the host learns when it loads the plugin: names, summaries, schemas and effects.
    pub fn describe(&self) -> Value {
        let commands: Vec<Value> = self.commands.iter().map(Command::describe).collect();
        let mut description = json!({"name": self.name, "version": self.version, "commands": commands});
        if let (Some(config), Some(object)) = (self.config, description.as_object_mut()) {
            object.insert("config".to_owned(), config());
        }
        description
    }

    /// Runs a command in an empty context.
    ///
    /// # Errors
    /// The command's own; `invalid` for inputs that do not fit; `not-found` where no command has that name.
    pub fn run(&self, command: &str, inputs: Value) -> Result<Value, Error> {
        self.run_in(&Context::default(), command, inputs)
    }

    /// Runs a command; its context gets the command's name, and what its pattern took.
    ///
    /// # Errors
    /// As [`Plugin::run`].
    pub fn run_in(&self, context: &Context, command: &str, inputs: Value) -> Result<Value, Error> {
        let text = self.call(Ask::Run, &named(context, command), &inputs.to_string())?;
        Ok(serde_json::from_str(&text)?)
    }

    /// Asks whether an earlier attempt of a call took effect: `{"verdict": …}`.
    ///
    /// # Errors
    /// As [`Plugin::run`].
    pub fn verify_in(&self, context: &Context, command: &str, inputs: Value) -> Result<Value, Error> {
        let ask = || self.call(Ask::Verify, &named(context, command), &inputs.to_string());
        #[cfg(not(target_family = "wasm"))]
        let text = crate::testing::asked(ask)?;
        #[cfg(target_family = "wasm")]
        let text = ask()?;
        Ok(serde_json::from_str(&text)?)
    }

    /// One question to the command that the context names.
    pub(crate) fn call(&self, ask: Ask, context: &Context, inputs: &str) -> Result<String, Error> {
        let name = context.command.as_str();
        let exact = self.commands.iter().find(|command| !command.is_pattern && command.name == name);
        let by_pattern = || {
            let patterns = self.commands.iter().filter(|command| command.is_pattern);
            patterns
                .filter(|command| pattern::matches(command.name, name))
                .max_by_key(|command| pattern::words(command.name))
        };
        let command = exact
            .or_else(by_pattern)
            .ok_or_else(|| Error::not_found(format!("this plugin has no command `{name}`")))?;
        let captures = command.is_pattern.then(|| pattern::captures(command.name, name)).flatten();
        // The agent says what the places took; whoever calls without it does not.
        let unsaid = captures.filter(|captures| *captures != context.captures);
        let with_captures = unsaid.map(|captures| Context { captures, ..context.clone() });
        let context = with_captures.as_ref().unwrap_or(context);
        match (ask, command.verify) {
            (Ask::Run, _) => (command.run)(inputs, context),
            (Ask::Verify, Some(verify)) => verify(inputs, context),
            (Ask::Verify, None) => Ok(r#"{"verdict":"unknown","why":"this command cannot tell"}"#.to_owned()),
        }
    }
}

impl Command {
    fn describe(&self) -> Value {
        // The attribute writes an object; for anything else the agent would refuse the description.
        let mut entry = serde_json::from_str(self.entry).unwrap_or(Value::Null);
        if let Some(object) = entry.as_object_mut() {
            object.insert("inputs".to_owned(), (self.inputs)());
            object.insert("outputs".to_owned(), (self.outputs)());
        }
        entry
    }
}

/// Which of the handler's functions is called.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Ask {
    Run,
    Verify,
}

fn named(context: &Context, command: &str) -> Context {
    Context { command: command.to_owned(), ..context.clone() }
}
