//! The three commands of the first templates.

use claiflow_sdk::{Error, command};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};

claiflow_sdk::plugin! { name: "example", commands: [helloworld, math_pow, swap] }

/// Whom to greet.
#[derive(Deserialize, JsonSchema)]
pub struct Hello {
    name: String,
}

/// Greets: `hello <name>`.
#[command("helloworld", effect = "read", summary = "Greets")]
pub fn helloworld(req: Hello) -> Result<String, Error> {
    Ok(format!("hello {}", req.name))
}

/// Base and exponent.
#[derive(Deserialize, JsonSchema)]
pub struct Pow {
    x: f64,
    y: f64,
}

/// x to the power y.
///
/// Integral results print in full digits up to 1e20, with an exponent from 1e21 on.
#[command("math_pow", effect = "read")]
pub fn math_pow(req: Pow) -> Result<Value, Error> {
    let result = req.x.powf(req.y);
    if !result.is_finite() {
        return Err(Error::failed(format!("{} to the power {} is not a finite number", req.x, req.y)));
    }
    let text = if result.abs() >= 1e21 {
        let text = format!("{result:e}");
        text.replacen('e', "e+", 1)
    } else {
        // `{}` prints a float in its shortest digits, without a fraction where it has none.
        if result == 0.0 { "0".to_owned() } else { format!("{result}") }
    };
    text.parse::<Number>().map(Value::Number).map_err(|error| Error::failed(error.to_string()))
}

/// Two values of any type.
#[derive(Deserialize, JsonSchema)]
pub struct Swap {
    param1: Value,
    param2: Value,
}

/// The same, the other way round.
#[derive(Serialize, JsonSchema)]
pub struct Swapped {
    value1: Value,
    value2: Value,
}

/// Gives its two values in the other order.
///
/// `value1` is `param2`, `value2` is `param1`.
#[command("swap_command", effect = "read")]
pub fn swap(req: Swap) -> Result<Swapped, Error> {
    Ok(Swapped { value1: req.param2, value2: req.param1 })
}

#[cfg(test)]
mod tests {
    use super::PLUGIN;

    fn run(command: &str, inputs: &str) -> Result<String, String> {
        let output = PLUGIN.run(command, serde_json::from_str(inputs).unwrap());
        output.map(|output| output.to_string()).map_err(|error| error.to_string())
    }

    #[test]
    fn each_command_gives_what_its_page_says() {
        for (command, inputs, expected) in [
            ("helloworld", r#"{"name":"world"}"#, r#""hello world""#),
            ("math_pow", r#"{"x":3,"y":2}"#, "9"),
            ("math_pow", r#"{"x":2,"y":0.5}"#, "1.4142135623730951"),
            ("math_pow", r#"{"x":10,"y":20}"#, "100000000000000000000"),
            ("math_pow", r#"{"x":10,"y":21}"#, "1e+21"),
            ("swap_command", r#"{"param1":"foo","param2":[1]}"#, r#"{"value1":[1],"value2":"foo"}"#),
        ] {
            assert_eq!(run(command, inputs).as_deref(), Ok(expected), "{command} {inputs}");
        }
    }

    #[test]
    fn wrong_inputs_are_said() {
        for (command, inputs, part) in [
            ("helloworld", "{}", "invalid: the inputs do not fit: missing field `name`"),
            ("math_pow", r#"{"x":10,"y":1000}"#, "not a finite number"),
            ("nobody", "{}", "no command `nobody`"),
        ] {
            assert!(run(command, inputs).is_err_and(|message| message.contains(part)), "{command} {inputs}");
        }
    }
}
