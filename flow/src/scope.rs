//! What references see: the finished steps of the lists around a step, and the task's inputs.

use serde_json::{Map, Value};

use crate::{
    flow::Step,
    program::{Reads, Variable},
    reference::{Plain, Segment},
};

/// What a finished or running step shows. A list of these stands beside the list of its steps, which has their ids.
#[derive(Debug)]
pub(crate) enum Shown {
    /// A command or a print. Inputs are absent where the step has none or nothing reads them.
    Call { inputs: Option<Value>, outputs: Value },
    /// A range: the element of the iteration that runs (at its end: the last), and every iteration's steps.
    Range { val: Option<Value>, iterations: Vec<Vec<Shown>> },
}

impl Shown {
    /// A range's outputs are the flat list of its inner steps' outputs; an inner range gives one nested list.
    pub(crate) fn outputs(&self) -> Value {
        match self {
            Self::Call { outputs, .. } => outputs.clone(),
            Self::Range { iterations, .. } => iterations.iter().flatten().map(Self::outputs).collect(),
        }
    }

    pub(crate) fn iterations(&self) -> &[Vec<Self>] {
        match self {
            Self::Call { .. } => &[],
            Self::Range { iterations, .. } => iterations,
        }
    }

    /// Appends the value of a member, other than an iteration; false where there is none.
    fn write_member(&self, name: &str, text: &mut String) -> bool {
        let value = match (self, name) {
            (Self::Call { inputs: Some(inputs), .. }, "inputs") => inputs,
            (Self::Call { outputs, .. }, "outputs") => outputs,
            (Self::Range { val: Some(val), .. }, "val") => val,
            (Self::Range { .. }, "outputs") => return push(text, self.outputs()),
            (Self::Range { iterations, .. }, "key") if !iterations.is_empty() => {
                return push(text, iterations.len() - 1);
            }
            _ => return false,
        };
        push(text, value)
    }

    /// Appends the whole step as an object.
    fn write(&self, step: &Step, text: &mut String) {
        let mut object = Object::open(text);
        for name in ["inputs", "key", "val", "outputs"] {
            object.member(name, |text| self.write_member(name, text));
        }
        for index in 0..self.iterations().len() {
            object.iteration(index, |text| self.write_iteration(step, index, text));
        }
        object.close();
    }

    fn write_iteration(&self, step: &Step, index: usize, text: &mut String) -> bool {
        let Some(iteration) = self.iterations().get(index) else { return false };
        let mut object = Object::open(text);
        for (step, shown) in step.inner().iter().zip(iteration) {
            object.member(&step.id, |text| {
                shown.write(step, text);
                true
            });
        }
        object.close();
        true
    }
}

fn push(text: &mut String, value: impl ToString) -> bool {
    text.push_str(&value.to_string());
    true
}

/// Writes an object as jaq reads it: its keys are strings or integers.
struct Object<'a> {
    text: &'a mut String,
    empty: bool,
}

impl<'a> Object<'a> {
    fn open(text: &'a mut String) -> Self {
        text.push('{');
        Self { text, empty: true }
    }

    fn member(&mut self, name: &str, value: impl FnOnce(&mut String) -> bool) {
        self.entry(&Value::from(name).to_string(), value);
    }

    fn iteration(&mut self, index: usize, value: impl FnOnce(&mut String) -> bool) {
        self.entry(&index.to_string(), value);
    }

    /// Nothing is added where `value` is false.
    fn entry(&mut self, key: &str, value: impl FnOnce(&mut String) -> bool) {
        let before = self.text.len();
        if !self.empty {
            self.text.push(',');
        }
        self.text.push_str(key);
        self.text.push(':');
        if value(self.text) {
            self.empty = false;
        } else {
            self.text.truncate(before);
        }
    }

    fn close(self) {
        self.text.push('}');
    }
}

/// The lists around a step, the outermost first.
pub(crate) struct Scope<'a> {
    pub(crate) inputs: &'a Value,
    pub(crate) lists: Vec<(&'a [Step], &'a [Shown])>,
}

impl<'a> Scope<'a> {
    /// The step that `$id` means. Where an inner and an outer id are equal, the outer one wins.
    fn step(&self, id: &str) -> Option<(&'a Step, &'a Shown)> {
        self.lists.iter().find_map(|(steps, shown)| steps.iter().zip(*shown).find(|(step, _)| step.id == id))
    }

    /// The value of a plain reference; none where it finds nothing or null.
    pub(crate) fn plain(&self, plain: &Plain) -> Option<Value> {
        let value = if plain.root == "inputs" {
            self.inside(self.inputs, &plain.segments)?.clone()
        } else {
            let (step, shown) = self.step(&plain.root)?;
            self.walk(step, shown, &plain.segments)?
        };
        Some(value).filter(|value| !value.is_null())
    }

    fn walk(&self, step: &Step, shown: &Shown, segments: &[Segment]) -> Option<Value> {
        let Some((first, rest)) = segments.split_first() else { return Some(whole(step, shown)) };
        let inside = |value: &Value| self.inside(value, rest).cloned();
        match (shown, first) {
            (Shown::Call { inputs, .. }, Segment::Key(key)) if key == "inputs" => inside(inputs.as_ref()?),
            (Shown::Call { outputs, .. }, Segment::Key(key)) if key == "outputs" => inside(outputs),
            (Shown::Range { val, .. }, Segment::Key(key)) if key == "val" => inside(val.as_ref()?),
            (Shown::Range { iterations, .. }, Segment::Key(key)) if key == "key" => {
                inside(&iterations.len().checked_sub(1)?.into())
            }
            (Shown::Range { .. }, Segment::Key(key)) if key == "outputs" => inside(&shown.outputs()),
            (Shown::Range { iterations, .. }, Segment::Index(_) | Segment::Dynamic(_)) => {
                let iteration = iterations.get(self.index(first)?)?;
                let (Segment::Inner(id) | Segment::Key(id), rest) = rest.split_first()? else { return None };
                let (step, shown) = step.inner().iter().zip(iteration).find(|(step, _)| step.id == *id)?;
                self.walk(step, shown, rest)
            }
            _ => None,
        }
    }

    /// Walks into a JSON value.
    fn inside<'v>(&self, value: &'v Value, segments: &[Segment]) -> Option<&'v Value> {
        segments.iter().try_fold(value, |value, segment| match segment {
            Segment::Key(key) => value.get(key),
            Segment::Index(index) => value.get(index),
            Segment::Dynamic(plain) => match self.plain(plain)? {
                Value::String(key) => value.get(key),
                number => value.get(usize::try_from(number.as_u64()?).ok()?),
            },
            Segment::Inner(_) => None,
        })
    }

    fn index(&self, segment: &Segment) -> Option<usize> {
        match segment {
            Segment::Index(index) => Some(*index),
            Segment::Dynamic(plain) => self.plain(plain)?.as_u64()?.try_into().ok(),
            Segment::Key(_) | Segment::Inner(_) => None,
        }
    }

    /// What a program sees of a variable, as jaq reads it.
    pub(crate) fn variable(&self, variable: &Variable) -> String {
        let mut text = String::new();
        let found = if variable.root == "inputs" { None } else { self.step(&variable.root) };
        match (&variable.reads, found, self.inputs) {
            (Reads::Parts(parts), Some((step, shown)), _) => self.write_parts(parts, step, shown, &mut text),
            (Reads::Whole, Some((step, shown)), _) => shown.write(step, &mut text),
            (Reads::Parts(parts), None, Value::Object(inputs)) if variable.root == "inputs" => {
                let mut object = Object::open(&mut text);
                for part in parts {
                    if let Segment::Key(key) = part {
                        object.member(key, |text| inputs.get(key).is_some_and(|value| push(text, value)));
                    }
                }
                object.close();
            }
            (_, None, inputs) if variable.root == "inputs" => text = inputs.to_string(),
            (_, None, _) => text.push_str("null"),
        }
        text
    }

    fn write_parts(&self, parts: &[Segment], step: &Step, shown: &Shown, text: &mut String) {
        let keys = parts.iter().map(|part| match part {
            Segment::Key(key) => Some(Part::Member(key)),
            // What is no index could name any member.
            _ => self.index(part).map(Part::Iteration),
        });
        let Some(mut keys) = keys.collect::<Option<Vec<_>>>() else { return shown.write(step, text) };
        keys.sort_unstable();
        keys.dedup();
        let mut object = Object::open(text);
        for key in keys {
            match key {
                Part::Member(name) => object.member(name, |text| shown.write_member(name, text)),
                Part::Iteration(index) => object.iteration(index, |text| shown.write_iteration(step, index, text)),
            }
        }
        object.close();
    }
}

/// What a path reads of a step.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Part<'a> {
    Member(&'a str),
    Iteration(usize),
}

/// A whole step as JSON, which lacks integer keys: a range's iterations stand under their index as text.
fn whole(step: &Step, shown: &Shown) -> Value {
    let mut object = Map::new();
    match shown {
        Shown::Call { inputs, outputs } => {
            object.extend(inputs.iter().map(|inputs| ("inputs".into(), inputs.clone())));
            object.insert("outputs".into(), outputs.clone());
        }
        Shown::Range { val, iterations } => {
            object.extend(iterations.len().checked_sub(1).map(|key| ("key".into(), key.into())));
            object.extend(val.iter().map(|val| ("val".into(), val.clone())));
            object.insert("outputs".into(), shown.outputs());
            object.extend(iterations.iter().enumerate().map(|(index, iteration)| {
                let steps = step.inner().iter().zip(iteration);
                let steps: Map<_, _> = steps.map(|(step, shown)| (step.id.clone(), whole(step, shown))).collect();
                (index.to_string(), steps.into())
            }));
        }
    }
    object.into()
}
