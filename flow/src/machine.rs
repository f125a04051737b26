//! Runs a flow: *step* takes one event and answers what may start now. A call's path is `2/r[17]/p`: the index of the
//! top-level step, and below it the iteration of each range and the ids of the inner steps.

use std::{collections::HashMap, sync::Arc};

use serde_json::{Map, Value, json};

use crate::{
    parse::{Flow, Kind, Step, Template, kind_of},
    reference::Reference,
    scope::{Scope, Shown},
};

/// What a flow may use; each limit has a clear error.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Steps of a template, inner ones included.
    pub steps: usize,
    /// Lists within lists.
    pub depth: usize,
    /// Iterations of one range.
    pub iterations: usize,
    /// JSON text of one step's outputs, bytes.
    pub step_output_bytes: usize,
    /// JSON text of all outputs of a task, bytes.
    pub task_output_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { steps: 1_000, depth: 16, iterations: 10_000, step_output_bytes: 1 << 20, task_output_bytes: 16 << 20 }
    }
}

/// What happened.
#[derive(Debug)]
pub enum Event {
    /// An earlier attempt finished this call; told before [`Event::Start`].
    Replayed {
        /// The call's path.
        path: String,
        /// Its outputs as they were reported.
        output: Value,
    },
    /// Begin.
    Start,
    /// The call gave a result.
    Finished {
        /// The call's path.
        path: String,
        /// Its result.
        output: Value,
        /// The length of the result's JSON text.
        bytes: usize,
    },
    /// The call failed.
    Failed {
        /// The call's path.
        path: String,
        /// A code of the plugin contract.
        code: String,
        /// For a person.
        message: String,
    },
    /// An expression was evaluated; an error is a sentence.
    Evaluated {
        /// [`Expression::id`].
        id: u64,
        /// The first output that is not null, or null.
        outcome: Result<Value, String>,
    },
}

/// A call that may start now.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// See the module.
    pub path: String,
    /// Index of the top-level step.
    pub top: usize,
    /// The command's name.
    pub command: String,
    /// Its inputs; empty when the step has none.
    pub inputs: Map<String, Value>,
}

/// A jq program to evaluate.
#[derive(Debug, Clone, PartialEq)]
pub struct Expression {
    /// Names the answer.
    pub id: u64,
    /// The program.
    pub program: String,
    /// Its `.`.
    pub input: Value,
    /// Variables, named with their `$`.
    pub variables: Vec<(String, Value)>,
}

/// A top-level step that ended without being a call: a print or a range.
#[derive(Debug, Clone, PartialEq)]
pub struct StepEnd {
    /// See the module.
    pub path: String,
    /// Index of the top-level step.
    pub top: usize,
    /// What it gives.
    pub output: Value,
}

/// Why the flow failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct StepError {
    /// Of the step, see the module.
    pub path: String,
    /// RFC 6901 pointer into the flow's text.
    pub pointer: String,
    /// As in the plugin contract: `invalid`, `too-large`, `failed`, …
    pub code: String,
    /// What was wrong and what would be right.
    pub message: String,
}

/// What may start now.
#[derive(Debug, Default, PartialEq)]
pub struct Progress {
    /// Calls to run.
    pub calls: Vec<Call>,
    /// Expressions to evaluate before anything else goes on.
    pub expressions: Vec<Expression>,
    /// Top-level steps that ended without a call.
    pub ended: Vec<StepEnd>,
    /// The end of the flow.
    pub done: Option<Result<Value, StepError>>,
}

/// One list of steps that is being run.
struct Frame {
    /// Where the list stands: the indexes of the range steps that lead to it.
    steps: Vec<usize>,
    /// Path of the range step, empty for the top level.
    prefix: String,
    /// The step that runs.
    index: usize,
}

/// What the running step waits for.
enum Waiting {
    Nothing,
    Call { path: String, inputs: Option<Value> },
    Expressions { open: usize },
}

/// One run of a flow. Steps run one after the other.
pub struct Machine {
    flow: Arc<Flow>,
    inputs: Value,
    limits: Limits,
    /// Finished and running steps of the top-level list.
    shown: Vec<(String, Shown)>,
    frames: Vec<Frame>,
    waiting: Waiting,
    replayed: HashMap<String, Value>,
    /// Answers for the running step's expressions, by pointer.
    answers: HashMap<String, Value>,
    asked: HashMap<u64, (String, String)>,
    next_expression: u64,
    output_bytes: usize,
    finished: bool,
}

impl Machine {
    /// A run that has not started.
    #[must_use]
    pub fn new(flow: Arc<Flow>, inputs: Value, limits: Limits) -> Self {
        Self {
            flow,
            inputs,
            limits,
            shown: Vec::new(),
            frames: Vec::new(),
            waiting: Waiting::Nothing,
            replayed: HashMap::new(),
            answers: HashMap::new(),
            asked: HashMap::new(),
            next_expression: 0,
            output_bytes: 0,
            finished: false,
        }
    }

    /// Takes an event. An event that nothing waits for changes nothing.
    pub fn step(&mut self, event: Event) -> Progress {
        let mut progress = Progress::default();
        if self.finished {
            return progress;
        }
        let outcome = match event {
            Event::Replayed { path, output } => {
                self.replayed.insert(path, output);
                return progress;
            }
            Event::Start if self.frames.is_empty() => {
                self.frames.push(Frame { steps: vec![], prefix: String::new(), index: 0 });
                self.advance(&mut progress)
            }
            Event::Start => return progress,
            Event::Finished { path, output, bytes } => self.finish(&path, output, bytes, &mut progress),
            Event::Failed { path, code, message } => match &self.waiting {
                Waiting::Call { path: waiting, .. } if *waiting == path => Err(self.error("", &code, message)),
                _ => return progress,
            },
            Event::Evaluated { id, outcome } => self.evaluated(id, outcome, &mut progress),
        };
        if let Err(error) = outcome {
            progress.done = Some(Err(error));
        }
        self.finished = progress.done.is_some();
        progress
    }

    fn finish(&mut self, path: &str, output: Value, bytes: usize, progress: &mut Progress) -> Result<(), StepError> {
        match &mut self.waiting {
            Waiting::Call { path: waiting, inputs } if waiting == path => {
                let inputs = inputs.take();
                self.waiting = Waiting::Nothing;
                self.complete(inputs, output, bytes)?;
                self.advance(progress)
            }
            _ => Ok(()),
        }
    }

    fn complete(&mut self, inputs: Option<Value>, output: Value, bytes: usize) -> Result<(), StepError> {
        if bytes > self.limits.step_output_bytes {
            let message = format!("the outputs have {bytes} bytes, a step may give {}", self.limits.step_output_bytes);
            return Err(self.error("", "too-large", message));
        }
        self.output_bytes += bytes;
        if self.output_bytes > self.limits.task_output_bytes {
            let message = format!("the outputs of the task exceed {} bytes", self.limits.task_output_bytes);
            return Err(self.error("", "too-large", message));
        }
        let shown = Shown::Call { inputs, outputs: Some(unwrap_json(output)) };
        self.show(shown);
        Ok(())
    }

    fn evaluated(&mut self, id: u64, outcome: Result<Value, String>, progress: &mut Progress) -> Result<(), StepError> {
        let Some((pointer, source)) = self.asked.remove(&id) else { return Ok(()) };
        match outcome {
            Ok(Value::Null) => return Err(self.error(&pointer, "invalid", format!("not found: {source}"))),
            Ok(value) => self.answers.insert(pointer, value),
            Err(message) => return Err(self.error(&pointer, "invalid", format!("{source}: {message}"))),
        };
        match &mut self.waiting {
            Waiting::Expressions { open } if *open > 1 => {
                *open -= 1;
                Ok(())
            }
            Waiting::Expressions { .. } => {
                self.waiting = Waiting::Nothing;
                self.advance(progress)
            }
            _ => Ok(()),
        }
    }

    /// Runs until something must be waited for, or the end.
    fn advance(&mut self, progress: &mut Progress) -> Result<(), StepError> {
        let flow = Arc::clone(&self.flow);
        while let Some(frame) = self.frames.last() {
            let list = steps_at(&flow.steps, &frame.steps);
            let Some(step) = list.get(frame.index) else {
                self.leave(&flow, progress);
                continue;
            };
            if !self.begin(step, progress)? {
                return Ok(());
            }
        }
        progress.done = Some(Ok(self.shown.last().and_then(|(_, step)| step.outputs()).unwrap_or(Value::Null)));
        Ok(())
    }

    /// The end of a list: of the flow, or of one iteration.
    fn leave(&mut self, flow: &Flow, progress: &mut Progress) {
        let Some(frame) = self.frames.pop() else { return };
        let Some(outer) = self.frames.last() else { return };
        let list = steps_at(&flow.steps, &outer.steps);
        let (Some(step), depth) = (list.get(outer.index), self.frames.len()) else { return };
        let more = match self.shown_at(depth).and_then(|list| list.last_mut()) {
            Some((_, Shown::Range { over, iterations })) if iterations.len() < over.len() => {
                iterations.push(Vec::new());
                Some(iterations.len() - 1)
            }
            _ => None,
        };
        if let Some(iteration) = more {
            let prefix = self.range_prefix(step, iteration);
            self.frames.push(Frame { steps: frame.steps, prefix, index: 0 });
        } else {
            self.end_range(step, progress);
        }
    }

    fn end_range(&mut self, step: &Step, progress: &mut Progress) {
        let path = self.path_of(step);
        if self.frames.len() == 1 {
            let output = self.shown.last().and_then(|(_, step)| step.outputs()).unwrap_or(Value::Null);
            progress.ended.push(StepEnd { path, top: self.top(), output });
        }
        if let Some(frame) = self.frames.last_mut() {
            frame.index += 1;
        }
    }

    /// Starts a step; true when the next one may follow at once.
    fn begin(&mut self, step: &Step, progress: &mut Progress) -> Result<bool, StepError> {
        let template = match &step.kind {
            Kind::Command { inputs, .. } => inputs.as_ref(),
            Kind::Range { over, .. } => Some(over),
            Kind::Print { hide } => Some(hide),
        };
        let value = match template {
            None => None,
            Some(template) => {
                self.ask(template, progress);
                if !self.asked.is_empty() {
                    self.waiting = Waiting::Expressions { open: self.asked.len() };
                    return Ok(false);
                }
                let scope = self.scope();
                let value = build(template, &scope, &self.answers);
                Some(value.map_err(|(pointer, message)| self.error(&pointer, "invalid", message))?)
            }
        };
        self.answers.clear();
        match &step.kind {
            Kind::Command { command, .. } => self.begin_command(step, command, value, progress),
            Kind::Range { .. } => self.begin_range(step, value.unwrap_or_default(), progress),
            Kind::Print { .. } => self.print(step, &value.unwrap_or_default(), progress),
        }
    }

    fn begin_command(
        &mut self,
        step: &Step,
        command: &str,
        value: Option<Value>,
        progress: &mut Progress,
    ) -> Result<bool, StepError> {
        let path = self.path_of(step);
        if let Some(Value::Object(_)) | None = value {
            if let Some(output) = self.replayed.remove(&path) {
                let bytes = output.to_string().len();
                self.complete(value, output, bytes)?;
                return Ok(true);
            }
            let inputs = match &value {
                Some(Value::Object(map)) => map.clone(),
                _ => Map::new(),
            };
            progress.calls.push(Call { path: path.clone(), top: self.top(), command: command.to_owned(), inputs });
            self.waiting = Waiting::Call { path, inputs: value };
            return Ok(false);
        }
        let found = value.as_ref().map_or("nothing", kind_of);
        let pointer = format!("{}/inputs", step.pointer);
        Err(self.error(&pointer, "invalid", format!("expected an object as inputs, got {found}")))
    }

    fn begin_range(&mut self, step: &Step, value: Value, progress: &mut Progress) -> Result<bool, StepError> {
        let pointer = format!("{}/$range", step.pointer);
        let Value::Array(over) = value else {
            return Err(self.error(&pointer, "invalid", format!("expected an array, got {}", kind_of(&value))));
        };
        if over.len() > self.limits.iterations {
            let message =
                format!("the array has {} elements, a range runs at most {}", over.len(), self.limits.iterations);
            return Err(self.error(&pointer, "too-large", message));
        }
        let empty = over.is_empty();
        let iterations = if empty { vec![] } else { vec![vec![]] };
        let depth = self.frames.len();
        if let Some(list) = self.shown_at(depth) {
            list.push((step.id.clone(), Shown::Range { over, iterations }));
        }
        if empty {
            self.end_range(step, progress);
            return Ok(true);
        }
        let prefix = self.range_prefix(step, 0);
        let mut steps = self.frames.last().map(|frame| frame.steps.clone()).unwrap_or_default();
        steps.push(self.frames.last().map_or(0, |frame| frame.index));
        self.frames.push(Frame { steps, prefix, index: 0 });
        Ok(true)
    }

    fn print(&mut self, step: &Step, hide: &Value, progress: &mut Progress) -> Result<bool, StepError> {
        let hidden: Vec<&str> = match hide {
            Value::Array(list) if list.iter().all(Value::is_string) => list.iter().filter_map(Value::as_str).collect(),
            other => {
                let message = format!("`hide` is an array of step ids, got {}", kind_of(other));
                return Err(self.error(&format!("{}/$print/hide", step.pointer), "invalid", message));
            }
        };
        let flow = Arc::clone(&self.flow);
        let output = printed(&flow.steps, &self.shown, "", &hidden);
        progress.ended.push(StepEnd { path: self.path_of(step), top: self.top(), output: output.clone() });
        self.show(Shown::Call { inputs: None, outputs: Some(output) });
        Ok(true)
    }

    /// Puts a finished step into its list and goes to the next.
    fn show(&mut self, shown: Shown) {
        let flow = Arc::clone(&self.flow);
        let Some(frame) = self.frames.last_mut() else { return };
        let id = steps_at(&flow.steps, &frame.steps).get(frame.index).map(|step| step.id.clone()).unwrap_or_default();
        frame.index += 1;
        let depth = self.frames.len();
        if let Some(list) = self.shown_at(depth) {
            list.push((id, shown));
        }
    }

    /// The list of finished steps at a depth, 1 for the top level.
    fn shown_at(&mut self, depth: usize) -> Option<&mut Vec<(String, Shown)>> {
        let mut list = &mut self.shown;
        for _ in 1..depth {
            match list.last_mut() {
                Some((_, Shown::Range { iterations, .. })) => list = iterations.last_mut()?,
                _ => return None,
            }
        }
        Some(list)
    }

    fn scope(&self) -> Scope<'_> {
        let mut lists = vec![self.shown.as_slice()];
        for _ in 1..self.frames.len() {
            if let Some((_, Shown::Range { iterations, .. })) = lists.last().and_then(|list| list.last())
                && let Some(inner) = iterations.last()
            {
                lists.push(inner);
            }
        }
        Scope { inputs: &self.inputs, lists }
    }

    /// Gives out the expressions of a template that have no answer yet.
    fn ask(&mut self, template: &Template, progress: &mut Progress) {
        match template {
            Template::Reference { reference: Reference::Program(program), pointer } => {
                if self.answers.contains_key(pointer) {
                    return;
                }
                let id = self.next_expression;
                self.next_expression += 1;
                let scope = self.scope();
                let variables = program
                    .variables
                    .iter()
                    .map(|(variable, name)| {
                        let value = if name == "inputs" {
                            scope.inputs.clone()
                        } else {
                            scope.step(name).map_or(Value::Null, Shown::to_json)
                        };
                        (variable.clone(), value)
                    })
                    .collect();
                let input = self.inputs.clone();
                progress.expressions.push(Expression { id, program: program.text.clone(), input, variables });
                self.asked.insert(id, (pointer.clone(), program.source.clone()));
            }
            Template::Array(list) => list.iter().for_each(|item| self.ask(item, progress)),
            Template::Object(map) => map.iter().for_each(|(_, item)| self.ask(item, progress)),
            Template::Literal(_) | Template::Reference { .. } => {}
        }
    }

    fn top(&self) -> usize {
        self.frames.first().map_or(0, |frame| frame.index)
    }

    fn path_of(&self, step: &Step) -> String {
        match self.frames.last() {
            Some(frame) if !frame.prefix.is_empty() => format!("{}/{}", frame.prefix, step.id),
            Some(frame) => frame.index.to_string(),
            None => String::new(),
        }
    }

    fn range_prefix(&self, step: &Step, iteration: usize) -> String {
        match self.frames.last() {
            Some(frame) if !frame.prefix.is_empty() => format!("{}/{}[{iteration}]", frame.prefix, step.id),
            _ => format!("{}/{}[{iteration}]", self.top(), step.id),
        }
    }

    /// An error of the running step; an empty `pointer` means the step itself.
    fn error(&self, pointer: &str, code: &str, message: String) -> StepError {
        let step = self.frames.last().and_then(|frame| steps_at(&self.flow.steps, &frame.steps).get(frame.index));
        let path = step.map(|step| self.path_of(step)).unwrap_or_default();
        let pointer = match step {
            Some(step) if pointer.is_empty() => step.pointer.clone(),
            _ => pointer.to_owned(),
        };
        StepError { path, pointer, code: code.to_owned(), message }
    }
}

/// The list that the range steps at `indexes` lead to.
fn steps_at<'a>(mut list: &'a [Step], indexes: &[usize]) -> &'a [Step] {
    for index in indexes {
        match list.get(*index).map(|step| &step.kind) {
            Some(Kind::Range { steps, .. }) => list = steps,
            _ => return &[],
        }
    }
    list
}

/// The value of a template, or the pointer and the sentence of what it does not find.
fn build(template: &Template, scope: &Scope<'_>, answers: &HashMap<String, Value>) -> Result<Value, (String, String)> {
    Ok(match template {
        Template::Literal(value) => value.clone(),
        Template::Reference { reference: Reference::Plain(plain), pointer } => {
            scope.plain(plain).ok_or_else(|| (pointer.clone(), format!("not found: {}", plain.text)))?
        }
        Template::Reference { reference: Reference::Program(program), pointer } => {
            answers.get(pointer).cloned().ok_or_else(|| (pointer.clone(), format!("not found: {}", program.source)))?
        }
        Template::Array(list) => {
            Value::Array(list.iter().map(|item| build(item, scope, answers)).collect::<Result<_, _>>()?)
        }
        Template::Object(map) => Value::Object(
            map.iter()
                .map(|(key, item)| Ok((key.clone(), build(item, scope, answers)?)))
                .collect::<Result<_, (_, _)>>()?,
        ),
    })
}

/// A command's text that holds a JSON object or array is taken as that JSON.
fn unwrap_json(output: Value) -> Value {
    match &output {
        Value::String(text) if text.starts_with(['{', '[']) => serde_json::from_str(text).unwrap_or(output),
        _ => output,
    }
}

/// The flow so far: `{id, command, inputs, outputs}` for each step that is not hidden, a nested array for a range.
fn printed(steps: &[Step], shown: &[(String, Shown)], prefix: &str, hidden: &[&str]) -> Value {
    let mut list = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        let name = format!("{prefix}{}", step.id);
        if hidden.contains(&name.as_str()) {
            continue;
        }
        match (&step.kind, shown.get(index).map(|(_, shown)| shown)) {
            (Kind::Range { steps, .. }, Some(Shown::Range { iterations, .. })) => {
                let inner = iterations.iter().enumerate().flat_map(|(at, shown)| {
                    match printed(steps, shown, &format!("{name}[{at}]."), hidden) {
                        Value::Array(list) => list,
                        other => vec![other],
                    }
                });
                list.push(Value::Array(inner.collect()));
            }
            (Kind::Command { command, .. }, shown) => {
                let mut entry = Map::from_iter([("id".into(), json!(step.id)), ("command".into(), json!(command))]);
                if let Some(Shown::Call { inputs, outputs }) = shown {
                    entry.extend(inputs.iter().map(|inputs| ("inputs".into(), inputs.clone())));
                    entry.extend(outputs.iter().map(|outputs| ("outputs".into(), outputs.clone())));
                }
                list.push(Value::Object(entry));
            }
            (Kind::Range { .. }, _) => list.push(Value::Array(vec![])),
            (Kind::Print { .. }, _) => {}
        }
    }
    Value::Array(list)
}
