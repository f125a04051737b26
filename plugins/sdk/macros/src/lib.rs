//! The attribute `#[command]` of `claiflow-sdk`. It leaves the function as it is, and adds what serves it.

mod arguments;
mod effect;
mod expand;
mod text;

use proc_macro::TokenStream;
use syn::parse_macro_input;

/// Makes a function a command of a plugin.
///
/// ```text
/// #[command("greet", effect = "read")]
/// #[command(pattern = "files.{folder}.{verb}", effect = "never", summary = "…")]
/// #[command("scale", effect = [{ when = ".dry_run", effect = "read" }, { effect = "verify" }], verify = scaled)]
/// ```
///
/// - a name, or `pattern = "…"` with places: `{x}` takes one segment between dots, `{x+}` at the end takes the rest.
/// - `effect`: `"read"`, `"idempotent"`, `"verify"`, `"never"`, or rules over the inputs, of which the first whose jq
///   expression `when` holds decides; the last has none. Without `effect` a command is `never` run twice.
/// - `summary`: one sentence for people. Without it, the doc comment's first paragraph.
/// - `verify`: for the effect `verify`, a function `fn(Inputs, &Context) -> Result<Verdict<Output>, Error>`.
///
/// The function takes its inputs (a type with `Deserialize` and `JsonSchema`), or the inputs and a `&Context`, or
/// nothing. It gives a `Result` whose value has `Serialize` and `JsonSchema`, and whose error turns into `Error`.
#[proc_macro_attribute]
pub fn command(arguments: TokenStream, function: TokenStream) -> TokenStream {
    let arguments = parse_macro_input!(arguments as arguments::Arguments);
    let function = parse_macro_input!(function as syn::ItemFn);
    let served = expand::served(&arguments, &function).unwrap_or_else(syn::Error::into_compile_error);
    quote::quote!(#function #served).into()
}
