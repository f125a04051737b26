//! What references see: the finished steps of the lists around a step, and the task's inputs.

use serde_json::{Map, Value};

use crate::reference::{Plain, Segment};

/// The key under which a range's iterations travel to the evaluator, as an array: its elements become integer keys of the
/// object, beside the other keys. JSON has no integer keys, jq has.
pub const INTEGER_KEYS: &str = "\u{0}integer-keys";

/// What a finished (or running) step shows.
#[derive(Debug)]
pub(crate) enum Shown {
    /// A command or a print.
    Call { inputs: Option<Value>, outputs: Option<Value> },
    /// A range: the current element and every iteration's steps.
    Range { over: Vec<Value>, iterations: Vec<Vec<(String, Shown)>> },
}

impl Shown {
    /// A range's outputs are the flat list of its inner steps' outputs; an inner range gives one nested list.
    pub(crate) fn outputs(&self) -> Option<Value> {
        match self {
            Self::Call { outputs, .. } => outputs.clone(),
            Self::Range { iterations, .. } => {
                Some(Value::Array(iterations.iter().flatten().filter_map(|(_, step)| step.outputs()).collect()))
            }
        }
    }

    /// The whole step as JSON, for the evaluator.
    pub(crate) fn to_json(&self) -> Value {
        let mut map = Map::new();
        match self {
            Self::Call { inputs, outputs } => {
                if let Some(inputs) = inputs {
                    map.insert("inputs".into(), inputs.clone());
                }
                if let Some(outputs) = outputs {
                    map.insert("outputs".into(), outputs.clone());
                }
            }
            Self::Range { over, iterations } => {
                if let Some((key, val)) = current(over, iterations) {
                    map.insert("key".into(), key.into());
                    map.insert("val".into(), val.clone());
                }
                if let Some(outputs) = self.outputs() {
                    map.insert("outputs".into(), outputs);
                }
                let list = iterations.iter().map(|steps| {
                    steps.iter().map(|(id, step)| (id.clone(), step.to_json())).collect::<Map<_, _>>().into()
                });
                map.insert(INTEGER_KEYS.into(), Value::Array(list.collect()));
            }
        }
        Value::Object(map)
    }
}

/// The index and the element of the iteration that runs, or of the last one.
fn current<'a>(over: &'a [Value], iterations: &[Vec<(String, Shown)>]) -> Option<(usize, &'a Value)> {
    let key = iterations.len().checked_sub(1)?;
    Some((key, over.get(key)?))
}

/// The lists around a step, the outermost first.
pub(crate) struct Scope<'a> {
    pub(crate) inputs: &'a Value,
    pub(crate) lists: Vec<&'a [(String, Shown)]>,
}

impl<'a> Scope<'a> {
    /// The step that `$id` means. Where an inner and an outer id are equal, the outer one wins.
    pub(crate) fn step(&self, id: &str) -> Option<&'a Shown> {
        self.lists.iter().find_map(|list| list.iter().find(|(name, _)| name == id)).map(|(_, step)| step)
    }

    /// The value of a plain reference; none where it finds nothing or null.
    pub(crate) fn plain(&self, plain: &Plain) -> Option<Value> {
        let value = if plain.root == "inputs" {
            self.inputs.clone_at(&plain.segments, self)?
        } else {
            self.walk(self.step(&plain.root)?, &plain.segments)?
        };
        Some(value).filter(|value| !value.is_null())
    }

    fn walk(&self, step: &Shown, segments: &[Segment]) -> Option<Value> {
        let Some((first, rest)) = segments.split_first() else { return Some(step.to_json()) };
        match (step, first) {
            (Shown::Call { inputs, .. }, Segment::Key(key)) if key == "inputs" => inputs.as_ref()?.clone_at(rest, self),
            (Shown::Call { outputs, .. }, Segment::Key(key)) if key == "outputs" => {
                outputs.as_ref()?.clone_at(rest, self)
            }
            (Shown::Range { over, iterations }, Segment::Key(key)) if key == "val" => {
                current(over, iterations)?.1.clone_at(rest, self)
            }
            (Shown::Range { over, iterations }, Segment::Key(key)) if key == "key" => {
                rest.is_empty().then(|| current(over, iterations).map(|(key, _)| key.into()))?
            }
            (Shown::Range { .. }, Segment::Key(key)) if key == "outputs" => step.outputs()?.clone_at(rest, self),
            (Shown::Range { iterations, .. }, Segment::Index(_) | Segment::Dynamic(_)) => {
                let steps = iterations.get(self.index(first)?)?;
                let (inner, rest) = rest.split_first()?;
                let (Segment::Inner(id) | Segment::Key(id)) = inner else { return None };
                let (_, step) = steps.iter().find(|(name, _)| name == id)?;
                self.walk(step, rest)
            }
            _ => None,
        }
    }

    fn index(&self, segment: &Segment) -> Option<usize> {
        match segment {
            Segment::Index(index) => Some(*index),
            Segment::Dynamic(plain) => self.plain(plain)?.as_u64()?.try_into().ok(),
            Segment::Key(_) | Segment::Inner(_) => None,
        }
    }
}

/// Walks into a JSON value and copies only what was asked for.
trait CloneAt {
    fn clone_at(&self, segments: &[Segment], scope: &Scope<'_>) -> Option<Value>;
}

impl CloneAt for Value {
    fn clone_at(&self, segments: &[Segment], scope: &Scope<'_>) -> Option<Value> {
        let mut at = self;
        for segment in segments {
            at = match segment {
                Segment::Key(key) => at.get(key)?,
                Segment::Index(_) => at.get(scope.index(segment)?)?,
                Segment::Dynamic(plain) => match scope.plain(plain)? {
                    Value::String(key) => at.get(key)?,
                    number => at.get(usize::try_from(number.as_u64()?).ok()?)?,
                },
                Segment::Inner(_) => return None,
            };
        }
        Some(at.clone())
    }
}
