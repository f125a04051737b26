//! A checked flow: what [`Flow::parse`] made of a template's text.

use std::collections::BTreeSet;

use crate::{program::Program, reference::Reference, template::Template};

/// What is wrong with a flow, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// RFC 6901 pointer into the flow.
    pub pointer: String,
    /// What was wrong and what would be right.
    pub message: String,
}

/// Whether the text is being written now, or was stored by an earlier version or by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Unknown and repeated keys are mistakes.
    Authored,
    /// Unknown and repeated keys are warnings.
    Stored,
}

/// A validated flow.
#[derive(Debug)]
pub struct Flow {
    pub(crate) steps: Vec<Step>,
    pub(crate) warnings: Vec<Mistake>,
    pub(crate) language_level: u32,
}

#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) id: String,
    pub(crate) pointer: String,
    pub(crate) kind: Kind,
}

#[derive(Debug)]
pub(crate) enum Kind {
    Command { command: String, inputs: Option<Template> },
    Range { over: Template, steps: Vec<Step> },
    Print { hide: Template },
}

impl Step {
    /// The template that is evaluated before the step starts.
    pub(crate) fn template(&self) -> Option<&Template> {
        match &self.kind {
            Kind::Command { inputs, .. } => inputs.as_ref(),
            Kind::Range { over, .. } => Some(over),
            Kind::Print { hide } => Some(hide),
        }
    }

    /// The steps of a range.
    pub(crate) fn inner(&self) -> &[Step] {
        match &self.kind {
            Kind::Range { steps, .. } => steps,
            Kind::Command { .. } | Kind::Print { .. } => &[],
        }
    }
}

impl Flow {
    /// What is tolerated in a stored flow but would be refused in an authored one, and what is probably not meant.
    #[must_use]
    pub fn warnings(&self) -> &[Mistake] {
        &self.warnings
    }

    /// The number of top-level steps.
    #[must_use]
    pub fn step_max(&self) -> usize {
        self.steps.len()
    }

    /// 0: only what the first version's agents understand, a jq program over `$inputs` included; 1: jq over steps, or
    /// `$$`.
    #[must_use]
    pub fn language_level(&self) -> u32 {
        self.language_level
    }

    /// The commands that the flow calls.
    #[must_use]
    pub fn commands(&self) -> BTreeSet<String> {
        let mut all = BTreeSet::new();
        each(&self.steps, &mut |step| {
            if let Kind::Command { command, .. } = &step.kind {
                all.insert(command.clone());
            }
        });
        all
    }

    /// Every jq program of the flow with its pointer, for a check by the evaluator. Step ids are given as variables.
    #[must_use]
    pub fn programs(&self) -> Vec<(&str, &str, Vec<&str>)> {
        let mut all = Vec::new();
        self.references(&mut |reference, pointer| {
            if let Reference::Program(Program { text, variables, .. }) = reference {
                all.push((pointer, text.as_str(), variables.iter().map(|variable| variable.name.as_str()).collect()));
            }
        });
        all
    }

    /// Whether anything of the flow may read what a step was given. Where nothing does, inputs are not kept: a range of
    /// thousands of iterations would keep them thousands of times.
    pub(crate) fn reads_inputs_of_steps(&self) -> bool {
        let mut reads = false;
        each(&self.steps, &mut |step| reads |= matches!(step.kind, Kind::Print { .. }));
        self.references(&mut |reference, _| {
            reads |= match reference {
                Reference::Plain(plain) => plain.may_read_step_inputs(),
                Reference::Program(program) => program.reads_step_inputs,
            };
        });
        reads
    }

    fn references<'a>(&'a self, visit: &mut dyn FnMut(&'a Reference, &'a str)) {
        each(&self.steps, &mut |step| {
            if let Some(template) = step.template() {
                template.references(visit);
            }
        });
    }
}

/// Visits all steps, inner ones included, in the order of the text.
fn each<'a>(steps: &'a [Step], visit: &mut dyn FnMut(&'a Step)) {
    for step in steps {
        visit(step);
        each(step.inner(), visit);
    }
}
