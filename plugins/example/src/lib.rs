//! The three commands of the first templates.

use claiflow_sdk::{Effect, Error};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};

claiflow_sdk::plugin! {
    name: "example",
    commands: [
        { name: "helloworld", effect: Effect::Read, summary: "Greets", run: helloworld },
        { name: "math_pow", effect: Effect::Read, summary: "x to the power y", run: math_pow },
        { name: "swap_command", effect: Effect::Read, summary: "Gives its two values in the other order", run: swap },
    ]
}

/// Whom to greet.
#[derive(Deserialize, JsonSchema)]
pub struct Hello {
    name: String,
}

/// `hello <name>`.
pub fn helloworld(req: Hello) -> Result<String, Error> {
    Ok(format!("hello {}", req.name))
}

/// Base and exponent.
#[derive(Deserialize, JsonSchema)]
pub struct Pow {
    x: f64,
    y: f64,
}

/// Integral results print in full digits up to 1e20, with an exponent from 1e21 on.
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

/// `value1` is `param2`, `value2` is `param1`.
pub fn swap(req: Swap) -> Result<Swapped, Error> {
    Ok(Swapped { value1: req.param2, value2: req.param1 })
}

#[cfg(test)]
mod tests {
    use claiflow_sdk::dispatch;

    fn run(command: &str, inputs: &str) -> Result<String, String> {
        dispatch(&super::plugin().1, command, inputs).map_err(|error| format!("{}: {error}", error.code))
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
        assert!(
            run("helloworld", "{}").unwrap_err().starts_with("invalid: the inputs do not fit: missing field `name`")
        );
        assert!(run("math_pow", r#"{"x":10,"y":1000}"#).unwrap_err().contains("not a finite number"));
        assert!(run("nobody", "{}").unwrap_err().contains("no command `nobody`"));
    }
}
