//! The effect class of one call: what its plugin declares, never laxer than the operator says.

use claiflow_flow::Expression;
use serde_json::Value;

use super::{
    Executor,
    commands::{Declared, Effect, Server},
};

impl Executor {
    /// Evaluates ordered rules over the inputs. No rule that matches, or one that cannot be evaluated, means `never`.
    pub(super) async fn effect_of(&self, server: &Server, inputs: &Value) -> Effect {
        let declared = match &server.effect {
            Declared::Class(effect) => *effect,
            Declared::Rules(rules) => {
                let mut class = Effect::Never;
                for rule in rules.iter() {
                    let matches = match &rule.when {
                        None => Ok(true),
                        Some(program) => self.holds_true(program, inputs).await,
                    };
                    match matches {
                        Ok(false) => continue,
                        Ok(true) => class = rule.effect,
                        Err(message) => tracing::warn!(
                            plugin = server.plugin,
                            command = server.declared_as,
                            "an effect rule cannot be evaluated, so the call counts as `never`: {message}"
                        ),
                    }
                    break;
                }
                class
            }
        };
        declared.max(server.floor)
    }

    async fn holds_true(&self, program: &str, inputs: &Value) -> Result<bool, String> {
        let expression =
            Expression { id: 0, program: program.to_owned(), input: inputs.to_string(), variables: Vec::new() };
        let outcome = self.jq.evaluate(vec![expression]).await.pop();
        let value = outcome.ok_or("the evaluator gave no answer")?.map_err(|fault| fault.to_string())?;
        Ok(!matches!(value, Value::Null | Value::Bool(false)))
    }
}
