//! The attribute macro `service_call`, for functions of the service crate.

use proc_macro::TokenStream;
use proc_macro2::Span;
use quote::{format_ident, quote};
use syn::visit_mut::{self, VisitMut};
use syn::{
    FnArg, GenericParam, Ident, ItemFn, Lifetime, LifetimeParam, LitStr, ParenthesizedGenericArguments, Pat,
    ReturnType, TypeBareFn, TypeReference, parse_macro_input, parse_quote,
};

/// Turns an async function of the service into a function that returns a boxed future. With a name, such as
/// `#[service_call("purchase.quote")]`, the future runs in a span of this name, if it is part of a trace.
///
/// The compiler compiles the body of an async function in each crate that awaits its future. Without this attribute,
/// each crate that calls the service would compile the service's rules and statements again. A boxed future is compiled
/// once, in the service crate. The box also keeps the futures of resolvers small: the future of a GraphQL object has
/// room for the largest future of its fields.
///
/// The function must be async. It cannot be a method, and cannot have named lifetimes or type parameters.
#[proc_macro_attribute]
pub fn service_call(name: TokenStream, item: TokenStream) -> TokenStream {
    let name = parse_macro_input!(name as Option<LitStr>);
    let function = parse_macro_input!(item as ItemFn);
    boxed(name.as_ref(), function).unwrap_or_else(|error| error.to_compile_error()).into()
}

fn boxed(name: Option<&LitStr>, function: ItemFn) -> syn::Result<proc_macro2::TokenStream> {
    let ItemFn { attrs, vis, sig: mut body_signature, block } = function;
    if body_signature.asyncness.is_none() {
        return Err(syn::Error::new(
            body_signature.ident.span(),
            "`#[service_call]` works only on async functions: make this function async",
        ));
    }
    if !body_signature.generics.params.is_empty() {
        let message = "`#[service_call]` works only on functions without named lifetimes and type parameters: remove them";
        return Err(syn::Error::new(body_signature.ident.span(), message));
    }
    let mut signature = body_signature.clone();
    signature.asyncness = None;
    body_signature.ident = format_ident!("call_body");
    let mut lifetimes = NamedLifetimes { call: Lifetime::new("'call", Span::call_site()) };
    let mut arguments = Vec::new();
    for (index, input) in signature.inputs.iter_mut().enumerate() {
        let FnArg::Typed(input) = input else {
            return Err(syn::Error::new(
                body_signature.ident.span(),
                "`#[service_call]` works only on free functions. Move the body of this method to a function",
            ));
        };
        let argument = argument_name(&input.pat, index);
        input.pat = parse_quote!(#argument);
        lifetimes.visit_type_mut(&mut input.ty);
        arguments.push(argument);
    }
    let mut output = match signature.output {
        ReturnType::Default => parse_quote!(()),
        ReturnType::Type(_, output) => *output,
    };
    lifetimes.visit_type_mut(&mut output);
    let call = &lifetimes.call;
    signature.output = parse_quote!(-> ::futures_util::future::BoxFuture<#call, #output>);
    signature.generics.params.insert(0, GenericParam::Lifetime(LifetimeParam::new(call.clone())));
    let body = &body_signature.ident;
    let mut future = quote!(#body(#(#arguments),*));
    if let Some(name) = name {
        // The span is made when the future first runs, so that it belongs to the trace in which the future runs.
        future = quote!(async move {
            let span = crate::trace::span(|| ::tracing::debug_span!(target: crate::trace::TRACE_TARGET, #name));
            ::tracing::Instrument::instrument(#future, span).await
        });
    }
    Ok(quote! {
        #(#attrs)*
        #vis #signature {
            #body_signature #block
            ::std::boxed::Box::pin(#future)
        }
    })
}

/// Returns the name of an argument. An argument that is a pattern, such as a tuple, gets a new name.
fn argument_name(pattern: &Pat, index: usize) -> Ident {
    match pattern {
        Pat::Ident(pattern) => pattern.ident.clone(),
        _ => format_ident!("argument_{index}"),
    }
}

/// Gives the lifetime `'call` to each reference and each `'_` in a type whose lifetime has no name.
struct NamedLifetimes {
    call: Lifetime,
}

impl VisitMut for NamedLifetimes {
    fn visit_type_reference_mut(&mut self, reference: &mut TypeReference) {
        reference.lifetime.get_or_insert_with(|| self.call.clone());
        visit_mut::visit_type_reference_mut(self, reference);
    }

    /// Leaves the lifetimes in `Fn(&str)` unnamed, because each call of the closure has its own.
    fn visit_parenthesized_generic_arguments_mut(&mut self, _: &mut ParenthesizedGenericArguments) {}

    /// Leaves the lifetimes in `fn(&str)` unnamed, because each call of the function pointer has its own.
    fn visit_type_bare_fn_mut(&mut self, _: &mut TypeBareFn) {}

    fn visit_lifetime_mut(&mut self, lifetime: &mut Lifetime) {
        if lifetime.ident == "_" {
            *lifetime = self.call.clone();
        }
    }
}
