//! What the attribute adds beside a function: a type of the same name, which `plugin!` takes as the command.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::{Error, FnArg, ItemFn, Result, ReturnType, Type, spanned::Spanned};

use crate::{
    arguments::Arguments,
    text::{first_paragraph, json},
};

/// # Errors
/// What about the function a command cannot have.
pub(crate) fn served(arguments: &Arguments, function: &ItemFn) -> Result<TokenStream> {
    let Arguments { name, is_pattern, effect, verify, .. } = arguments;
    let (function_name, visibility) = (&function.sig.ident, &function.vis);
    let output = plain(function)?;
    let summary = arguments.summary.clone().or_else(|| first_paragraph(&function.attrs)).ok_or_else(|| {
        Error::new(function_name.span(), "say in a doc comment or in `summary = \"…\"` what the command does")
    })?;
    let key = if *is_pattern { "pattern" } else { "name" };
    let entry = format!(r#"{{"{key}":{},"summary":{},"effect":{}}}"#, json(name), json(&summary), effect.json);

    let (inputs, call) = match inputs(function)?.as_slice() {
        [] => (quote!(::claiflow_sdk::glue::Nothing), quote!(#function_name())),
        [inputs] => (quote!(#inputs), quote!(#function_name(inputs))),
        [inputs, _context] => (quote!(#inputs), quote!(#function_name(inputs, context))),
        [_, _, third, ..] => {
            return Err(Error::new(third.span(), "a command takes its inputs, and at most a `&Context` beside them"));
        }
    };
    // A type without a needed trait is then underlined where its author wrote it.
    let inputs_schema = quote_spanned!(inputs.span() => ::claiflow_sdk::glue::inputs(call));
    let outputs_schema = quote_spanned!(output.span() => ::claiflow_sdk::glue::outputs(call));
    let run = quote_spanned!(output.span() => ::claiflow_sdk::glue::run(inputs, context, call));
    let verify = match verify {
        Some(path) => {
            let asked = quote_spanned!(path.span() => ::claiflow_sdk::glue::verify(inputs, context, call, #path));
            quote!(::core::option::Option::Some(|inputs, context| #asked))
        }
        None => quote!(::core::option::Option::None),
    };
    Ok(quote! {
        #[doc(hidden)]
        #[allow(non_camel_case_types)]
        #visibility enum #function_name {}

        const _: () = {
            #[allow(unused_variables)]
            fn call(inputs: #inputs, context: &::claiflow_sdk::Context) -> #output {
                #call
            }

            impl ::claiflow_sdk::glue::Served for #function_name {
                const COMMAND: ::claiflow_sdk::Command = ::claiflow_sdk::glue::command(
                    #name,
                    #is_pattern,
                    #entry,
                    || #inputs_schema,
                    || #outputs_schema,
                    |inputs, context| #run,
                    #verify,
                );
            }
        };
    })
}

/// The type that the function gives.
fn plain(function: &ItemFn) -> Result<&Type> {
    let signature = &function.sig;
    if let Some(word) = &signature.asyncness {
        return Err(Error::new(word.span(), "a command is a plain function: one call, one thread, no `async`"));
    }
    if !signature.generics.params.is_empty() {
        return Err(Error::new(signature.generics.span(), "a command has no type parameters: its schemas need types"));
    }
    match &signature.output {
        ReturnType::Type(_, output) => Ok(output),
        ReturnType::Default => {
            Err(Error::new(signature.ident.span(), "a command gives a `Result`: `-> Result<(), Error>` for no value"))
        }
    }
}

fn inputs(function: &ItemFn) -> Result<Vec<&Type>> {
    let inputs = function.sig.inputs.iter().map(|input| match input {
        FnArg::Typed(input) => Ok(&*input.ty),
        FnArg::Receiver(input) => Err(Error::new(input.span(), "a command is a function, not a method")),
    });
    inputs.collect()
}

#[cfg(test)]
mod tests {
    use super::served;
    use syn::parse_str;

    #[test]
    fn a_mistake_says_what_would_be_right() {
        for (function, part) in [
            ("fn a() -> Result<(), Error> {}", "doc comment or in `summary"),
            ("/// A.\nfn a() {}", "gives a `Result`"),
            ("/// A.\nasync fn a() -> Result<(), Error> {}", "no `async`"),
            ("/// A.\nfn a<T>(x: T) -> Result<(), Error> {}", "no type parameters"),
            ("/// A.\nfn a(&self) -> Result<(), Error> {}", "not a method"),
            ("/// A.\nfn a(x: X, y: &Context, z: Z) -> Result<(), Error> {}", "at most a `&Context`"),
        ] {
            let error = served(&parse_str(r#""a""#).unwrap(), &parse_str(function).unwrap()).err().unwrap();
            assert!(error.to_string().contains(part), "{function}: {error}");
        }
    }
}
