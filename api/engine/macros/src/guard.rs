//! The expansion of `#[guarded_fields]`.

use proc_macro2::{TokenStream, TokenTree};
use quote::quote;
use syn::punctuated::Punctuated;
use syn::{Attribute, FnArg, ImplItem, ImplItemFn, ItemImpl, Meta, Path, Token, parse_quote};

use super::name_and_type;

pub(super) fn expand(directive: &Path, mut item: ItemImpl) -> syn::Result<TokenStream> {
    for item in &mut item.items {
        if let ImplItem::Fn(method) = item {
            expand_method(directive, method)?;
        }
    }
    Ok(quote!(#item))
}

/// Removes each parameter that is marked with `#[guard]`, whose type is a permission. Gives the method the directive of
/// the permission, and begins the body of the method with the check of the permission.
fn expand_method(directive: &Path, method: &mut ImplItemFn) -> syn::Result<()> {
    let is_guard = |attribute: &Attribute| attribute.path().is_ident("guard");
    let mut parameters = Punctuated::<FnArg, Token![,]>::new();
    for parameter in std::mem::take(&mut method.sig.inputs) {
        let FnArg::Typed(guard) = &parameter else {
            parameters.push(parameter);
            continue;
        };
        if !guard.attrs.iter().any(is_guard) {
            parameters.push(parameter);
            continue;
        }
        let (name, ty) = name_and_type(guard)?;
        let apply = quote!(directive = #directive::apply(<#ty>::directive_argument()));
        add_graphql_attribute(&mut method.attrs, &apply)?;
        let check = parse_quote! {
            let #name = match <#ty>::check(ctx).await {
                Ok(permission) => permission,
                Err(error) => return ::graphql_engine::FieldOutput::of_error(error),
            };
        };
        method.block.stmts.insert(0, check);
    }
    method.sig.inputs = parameters;
    Ok(())
}

/// Adds an option to the first attribute `#[graphql(…)]` of a method, because async-graphql reads only the first one.
/// If the method has no attribute `#[graphql(…)]`, adds this attribute.
fn add_graphql_attribute(attributes: &mut Vec<Attribute>, option: &TokenStream) -> syn::Result<()> {
    let Some(present) = attributes.iter_mut().find(|attribute| attribute.path().is_ident("graphql")) else {
        attributes.push(parse_quote!(#[graphql(#option)]));
        return Ok(());
    };
    let Meta::List(list) = &mut present.meta else {
        return Err(syn::Error::new_spanned(present, "expected `graphql(…)`"));
    };
    let options = list.tokens.clone();
    let ends_with_comma =
        matches!(options.clone().into_iter().last(), Some(TokenTree::Punct(last)) if last.as_char() == ',');
    list.tokens = if ends_with_comma { quote!(#options #option) } else { quote!(#options, #option) };
    Ok(())
}
