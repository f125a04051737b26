//! Runs a flow, one step after the other: [`Machine::step`] takes one event and answers what may start now.

use std::{collections::HashMap, sync::Arc};

use serde_json::{Map, Value};

use crate::{
    document::read_json,
    event::{Call, Event, Expression, Progress, StepEnd, StepError},
    flow::{Flow, Kind, Step},
    limits::{Limits, memory_bytes, text_bytes},
    number::write_integral,
    parse::kind_of,
    print::printed,
    reference::Reference,
    scope::{Scope, Shown},
    template::{NotFound, Template},
};

/// One list of steps that is being run.
struct Frame {
    /// Where the list stands: the indexes of the range steps that lead to it.
    steps: Vec<usize>,
    /// Path of the iteration, empty for the top level.
    prefix: String,
    /// The step that runs.
    index: usize,
    /// The elements of the range that are still to come.
    rest: std::vec::IntoIter<Value>,
}

/// What the running step waits for.
enum Waiting {
    Nothing,
    Call { path: String, inputs: Option<Value> },
    Expressions { open: usize },
}

/// One run of a flow.
pub struct Machine {
    flow: Arc<Flow>,
    inputs: Value,
    limits: Limits,
    keeps_inputs: bool,
    /// Finished and running steps of the top-level list.
    shown: Vec<Shown>,
    frames: Vec<Frame>,
    waiting: Waiting,
    replayed: HashMap<String, Value>,
    /// Answers for the running step's expressions, by pointer.
    answers: HashMap<String, Value>,
    /// Pointer and source of the expressions that have no answer yet.
    asked: HashMap<u64, (String, String)>,
    next_expression: u64,
    step_runs: usize,
    output_bytes: usize,
    kept_bytes: usize,
    finished: bool,
}

impl Machine {
    /// A run that has not started.
    #[must_use]
    pub fn new(flow: Arc<Flow>, mut inputs: Value, limits: Limits) -> Self {
        write_integral(&mut inputs);
        Self {
            keeps_inputs: flow.reads_inputs_of_steps(),
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
            step_runs: 0,
            output_bytes: 0,
            kept_bytes: 0,
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
                self.frames.push(Frame { steps: vec![], prefix: String::new(), index: 0, rest: vec![].into_iter() });
                self.advance(&mut progress)
            }
            Event::Start => return progress,
            Event::Finished { path, output, bytes } => self.finish(&path, output, bytes, &mut progress),
            Event::Failed { path, code, message } => match &self.waiting {
                Waiting::Call { path: waiting, .. } if *waiting == path => Err(self.error(None, &code, message)),
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
                self.complete(inputs, taken(output), bytes)?;
                self.advance(progress)
            }
            _ => Ok(()),
        }
    }

    fn evaluated(&mut self, id: u64, outcome: Result<Value, String>, progress: &mut Progress) -> Result<(), StepError> {
        let Some((pointer, source)) = self.asked.remove(&id) else { return Ok(()) };
        match outcome {
            Ok(Value::Null) => return Err(self.error(Some(pointer), "invalid", format!("not found: {source}"))),
            Ok(mut value) => {
                write_integral(&mut value);
                self.answers.insert(pointer, value);
            }
            Err(message) => return Err(self.error(Some(pointer), "invalid", format!("{source}: {message}"))),
        }
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
                self.leave(&flow, progress)?;
                continue;
            };
            if !self.begin(step, progress)? {
                return Ok(());
            }
        }
        progress.done = Some(Ok(self.shown.last().map(Shown::outputs).unwrap_or_default()));
        Ok(())
    }

    /// The end of a list: of the flow, or of one iteration.
    fn leave(&mut self, flow: &Flow, progress: &mut Progress) -> Result<(), StepError> {
        let Some(Frame { steps, mut rest, .. }) = self.frames.pop() else { return Ok(()) };
        let Some(outer) = self.frames.last() else { return Ok(()) };
        let Some(step) = steps_at(&flow.steps, &outer.steps).get(outer.index) else { return Ok(()) };
        match rest.next() {
            Some(val) => self.iterate(step, steps, val, rest),
            None => self.end_range(step, progress)?,
        }
        Ok(())
    }

    /// Starts the next iteration of a range.
    fn iterate(&mut self, step: &Step, steps: Vec<usize>, element: Value, rest: std::vec::IntoIter<Value>) {
        let mut iteration = 0;
        if let Some(Shown::Range { val, iterations }) = self.list().and_then(|list| list.last_mut()) {
            *val = Some(element);
            iteration = iterations.len();
            iterations.push(Vec::with_capacity(step.inner().len()));
        }
        let prefix = match self.frames.last() {
            Some(frame) if !frame.prefix.is_empty() => format!("{}/{}[{iteration}]", frame.prefix, step.id),
            _ => format!("{}/{}[{iteration}]", self.top(), step.id),
        };
        self.frames.push(Frame { steps, prefix, index: 0, rest });
    }

    fn end_range(&mut self, step: &Step, progress: &mut Progress) -> Result<(), StepError> {
        if let Some(Shown::Range { val: Some(val), .. }) = self.list().and_then(|list| list.last()) {
            let bytes = memory_bytes(val);
            self.keep(bytes)?;
        }
        if self.frames.len() == 1 {
            progress.ended.push(StepEnd { path: self.path_of(step), top: self.top() });
        }
        if let Some(frame) = self.frames.last_mut() {
            frame.index += 1;
        }
        Ok(())
    }

    /// Starts a step; true when the next one may follow at once.
    fn begin(&mut self, step: &Step, progress: &mut Progress) -> Result<bool, StepError> {
        let value = match step.template() {
            None => None,
            Some(template) => {
                self.ask(template, progress);
                if !self.asked.is_empty() {
                    self.waiting = Waiting::Expressions { open: self.asked.len() };
                    return Ok(false);
                }
                let value = template.build(&self.scope(), &self.answers);
                Some(value.map_err(|NotFound { pointer, message }| self.error(Some(pointer), "invalid", message))?)
            }
        };
        self.answers.clear();
        self.step_runs += 1;
        if self.step_runs > self.limits.step_runs {
            let message = format!("a run starts at most {} steps, iterations counted", self.limits.step_runs);
            return Err(self.error(None, "too-large", message));
        }
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
        let map = match &value {
            None => Map::new(),
            Some(Value::Object(map)) => map.clone(),
            Some(other) => {
                let pointer = format!("{}/inputs", step.pointer);
                let message = format!("expected an object as inputs, got {}", kind_of(other));
                return Err(self.error(Some(pointer), "invalid", message));
            }
        };
        let kept = value.filter(|_| self.keeps_inputs);
        if let Some(inputs) = &kept {
            self.keep(memory_bytes(inputs))?;
        }
        let path = self.path_of(step);
        if let Some(output) = self.replayed.remove(&path) {
            let bytes = text_bytes(&output);
            self.complete(kept, taken(output), bytes)?;
            return Ok(true);
        }
        progress.calls.push(Call { path: path.clone(), top: self.top(), command: command.to_owned(), inputs: map });
        self.waiting = Waiting::Call { path, inputs: kept };
        Ok(false)
    }

    fn begin_range(&mut self, step: &Step, value: Value, progress: &mut Progress) -> Result<bool, StepError> {
        let pointer = format!("{}/$range", step.pointer);
        let Value::Array(over) = value else {
            return Err(self.error(Some(pointer), "invalid", format!("expected an array, got {}", kind_of(&value))));
        };
        if over.len() > self.limits.iterations {
            let message =
                format!("the array has {} elements, a range runs at most {}", over.len(), self.limits.iterations);
            return Err(self.error(Some(pointer), "too-large", message));
        }
        if let Some(list) = self.list() {
            list.push(Shown::Range { val: None, iterations: Vec::with_capacity(over.len()) });
        }
        let mut rest = over.into_iter();
        match (rest.next(), self.frames.last()) {
            (Some(element), Some(frame)) => {
                let steps = frame.steps.iter().copied().chain([frame.index]).collect();
                self.iterate(step, steps, element, rest);
            }
            _ => self.end_range(step, progress)?,
        }
        Ok(true)
    }

    fn print(&mut self, step: &Step, hide: &Value, progress: &mut Progress) -> Result<bool, StepError> {
        let wrong = |found: &Value| {
            let pointer = format!("{}/$print/hide", step.pointer);
            let message = format!("`hide` is an array of step ids, got {}", kind_of(found));
            self.error(Some(pointer), "invalid", message)
        };
        let Value::Array(list) = hide else { return Err(wrong(hide)) };
        let ids = list.iter().map(|id| id.as_str().ok_or_else(|| wrong(id)));
        let hidden = ids.collect::<Result<Vec<_>, _>>()?;
        let flow = Arc::clone(&self.flow);
        let output = Value::Array(printed(&flow.steps, &self.shown, "", &hidden));
        let end = StepEnd { path: self.path_of(step), top: self.top() };
        let bytes = text_bytes(&output);
        self.complete(None, output, bytes)?;
        progress.ended.push(end);
        Ok(true)
    }

    /// Puts a finished step into its list and goes to the next.
    fn complete(&mut self, inputs: Option<Value>, outputs: Value, bytes: usize) -> Result<(), StepError> {
        if bytes > self.limits.step_output_bytes {
            let message = format!("the outputs have {bytes} bytes, a step may give {}", self.limits.step_output_bytes);
            return Err(self.error(None, "too-large", message));
        }
        self.output_bytes += bytes;
        if self.output_bytes > self.limits.task_output_bytes {
            let message = format!("the outputs of the task exceed {} bytes", self.limits.task_output_bytes);
            return Err(self.error(None, "too-large", message));
        }
        if let Some(list) = self.list() {
            list.push(Shown::Call { inputs, outputs });
        }
        if let Some(frame) = self.frames.last_mut() {
            frame.index += 1;
        }
        Ok(())
    }

    /// Counts what stays in memory until the end of the run.
    fn keep(&mut self, bytes: usize) -> Result<(), StepError> {
        self.kept_bytes += bytes;
        if self.kept_bytes > self.limits.kept_bytes {
            let message = format!(
                "the inputs that later steps may read exceed {} bytes: pass on less of them",
                self.limits.kept_bytes
            );
            return Err(self.error(None, "too-large", message));
        }
        Ok(())
    }

    /// What the list that runs has shown so far.
    fn list(&mut self) -> Option<&mut Vec<Shown>> {
        let mut list = &mut self.shown;
        for _ in 1..self.frames.len() {
            match list.last_mut() {
                Some(Shown::Range { iterations, .. }) => list = iterations.last_mut()?,
                _ => return None,
            }
        }
        Some(list)
    }

    fn scope(&self) -> Scope<'_> {
        let mut lists = vec![(self.flow.steps.as_slice(), self.shown.as_slice())];
        for frame in self.frames.iter().skip(1) {
            let inner = lists.last().and_then(|(_, shown)| shown.last()).and_then(|range| range.iterations().last());
            lists.extend(inner.map(|shown| (steps_at(&self.flow.steps, &frame.steps), shown.as_slice())));
        }
        Scope { inputs: &self.inputs, lists }
    }

    /// Gives out the expressions of a template that have no answer yet.
    fn ask(&mut self, template: &Template, progress: &mut Progress) {
        let mut programs = Vec::new();
        template.references(&mut |reference, pointer| match reference {
            Reference::Program(program) if !self.answers.contains_key(pointer) => programs.push((program, pointer)),
            _ => {}
        });
        for (program, pointer) in programs {
            let scope = self.scope();
            let variables = program.variables.iter().map(|variable| (variable.name.clone(), scope.variable(variable)));
            let variables = variables.collect();
            let input = if program.reads_dot { self.inputs.to_string() } else { "null".to_owned() };
            let id = self.next_expression;
            self.next_expression += 1;
            progress.expressions.push(Expression { id, program: program.text.clone(), input, variables });
            self.asked.insert(id, (pointer.to_owned(), program.source.clone()));
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

    /// An error of the running step, at `pointer` or at the step itself.
    fn error(&self, pointer: Option<String>, code: &str, message: String) -> StepError {
        let step = self.frames.last().and_then(|frame| steps_at(&self.flow.steps, &frame.steps).get(frame.index));
        let path = step.map(|step| self.path_of(step)).unwrap_or_default();
        let pointer = pointer.or_else(|| step.map(|step| step.pointer.clone())).unwrap_or_default();
        StepError { path, pointer, code: code.to_owned(), message }
    }
}

/// The list that the range steps at `indexes` lead to.
fn steps_at<'a>(list: &'a [Step], indexes: &[usize]) -> &'a [Step] {
    indexes.iter().fold(list, |list, index| list.get(*index).map_or(&[], Step::inner))
}

/// A command's result as references see it: text that holds a JSON object or array is taken as that JSON.
fn taken(mut output: Value) -> Value {
    if let Value::String(text) = &output
        && text.starts_with(['{', '['])
        && let Ok(value) = read_json(text)
    {
        return value;
    }
    write_integral(&mut output);
    output
}
