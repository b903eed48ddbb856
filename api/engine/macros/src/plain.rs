//! The expansions of `#[plain_fields]`, `#[derive(PlainObject)]` and `#[derive(PlainEnum)]`.

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::{format_ident, quote};
use syn::ext::IdentExt;
use syn::{
    Attribute, Data, DeriveInput, Error, Fields, FnArg, Generics, ImplItem, ImplItemFn, ItemImpl, LitStr,
    ReturnType, Type, parse_quote,
};

/// A plain field of an object.
struct PlainField {
    /// The name of the field in the schema. None for a flattened field: the fields of its value belong to the object
    /// itself.
    name: Option<String>,
    value: FieldValue,
}

/// The way in which the value of a plain field is read.
enum FieldValue {
    /// The value can always be read without `await`. The first part is the type of the value. The second is an
    /// expression that reads the value from the variable `object`.
    Present(Box<Type>, TokenStream),
    /// The name of a method that returns the value, or None if the object does not have the value at hand.
    AtHand(Ident),
    /// The name of a method that returns a value in an `Arc`, which several objects can share. The method returns None
    /// if the object does not have the value at hand.
    Shared(Ident),
}

/// The options of a field in its attributes `#[graphql(…)]`.
#[derive(Default)]
struct FieldOptions {
    name: Option<String>,
    is_flattened: bool,
    /// Whether only async-graphql can handle the field: it is not in the schema, or has options that only async-graphql
    /// applies.
    is_resolved: bool,
}

/// Expands `#[plain_fields]`: moves the body of each plain field into a function that is not async, and implements the
/// traits of plain objects.
pub(super) fn expand_impl(mut item: ItemImpl) -> syn::Result<TokenStream> {
    let mut fields = Vec::new();
    let mut readers = Vec::new();
    for item in &mut item.items {
        let ImplItem::Fn(method) = item else { continue };
        if let Some(field) = field_at_hand(method)? {
            fields.push(field);
        } else if let Some((field, reader)) = plain_method(method)? {
            fields.push(field);
            readers.push(reader);
        }
    }
    let (generics, ty) = (item.generics.clone(), &item.self_ty);
    let (of, _, bounds) = generics.split_for_impl();
    let implementation = implement(&generics, ty, &fields);
    Ok(quote! {
        #item

        impl #of #ty #bounds {
            #(#readers)*
        }

        #implementation
    })
}

/// Reads the mark `#[at_hand(method)]` or `#[shared(method)]` of a field, and removes it. Returns None if the field has
/// no such mark.
fn field_at_hand(method: &mut ImplItemFn) -> syn::Result<Option<PlainField>> {
    let is_mark =
        |attribute: &Attribute| attribute.path().is_ident("at_hand") || attribute.path().is_ident("shared");
    let Some(mark) = method.attrs.iter().find(|attribute| is_mark(attribute)) else { return Ok(None) };
    let read = mark.parse_args()?;
    let value =
        if mark.path().is_ident("shared") { FieldValue::Shared(read) } else { FieldValue::AtHand(read) };
    method.attrs.retain(|attribute| !is_mark(attribute));
    let name = FieldOptions::read(&method.attrs)?.schema_name(&method.sig.ident);
    Ok(Some(PlainField { name, value }))
}

/// Moves the body of a plain field into a new function that is not async. Returns the field and this function, or None
/// if the field is not plain. Removes the mark `#[resolved]`.
fn plain_method(method: &mut ImplItemFn) -> syn::Result<Option<(PlainField, ImplItemFn)>> {
    let is_marked = method.attrs.iter().any(|attribute| attribute.path().is_ident("resolved"));
    method.attrs.retain(|attribute| !attribute.path().is_ident("resolved"));
    let options = FieldOptions::read(&method.attrs)?;
    let takes_only_self = method.sig.inputs.len() == 1
        && matches!(method.sig.inputs.first(), Some(FnArg::Receiver(receiver)) if receiver.reference.is_some());
    let body = &method.block;
    if is_marked || options.is_resolved || !takes_only_self || has_await(quote!(#body)) {
        return Ok(None);
    }
    let ReturnType::Type(_, ty) = &method.sig.output else { return Ok(None) };
    let reader = format_ident!("plain_{}", method.sig.ident.unraw());
    let field = PlainField {
        name: options.schema_name(&method.sig.ident),
        value: FieldValue::Present(ty.clone(), quote!(object.#reader())),
    };
    let mut plain = method.clone();
    plain.attrs = vec![
        parse_quote!(#[doc(hidden)]),
        parse_quote!(#[allow(clippy::unused_self, reason = "every field takes the object")]),
    ];
    plain.vis = syn::Visibility::Inherited;
    plain.sig.asyncness = None;
    plain.sig.ident = reader.clone();
    method.block = parse_quote!({ self.#reader() });
    Ok(Some((field, plain)))
}

fn has_await(tokens: TokenStream) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(name) => name == "await",
        TokenTree::Group(group) => has_await(group.stream()),
        TokenTree::Punct(_) | TokenTree::Literal(_) => false,
    })
}

/// Expands `#[derive(PlainObject)]`: all fields of the struct are plain, except fields that only async-graphql can
/// handle or that are marked with `#[resolved]`.
pub(super) fn expand_derive(input: &DeriveInput) -> syn::Result<TokenStream> {
    let Data::Struct(data) = &input.data else {
        return Err(Error::new_spanned(input, "`PlainObject` needs a struct"));
    };
    let Fields::Named(named) = &data.fields else {
        return Err(Error::new_spanned(input, "`PlainObject` needs named fields"));
    };
    let mut fields = Vec::new();
    for field in &named.named {
        let options = FieldOptions::read(&field.attrs)?;
        let is_marked = field.attrs.iter().any(|attribute| attribute.path().is_ident("resolved"));
        if let Some(name) = &field.ident
            && !is_marked
            && !options.is_resolved
        {
            fields.push(PlainField {
                name: options.schema_name(name),
                value: FieldValue::Present(Box::new(field.ty.clone()), quote!(object.#name)),
            });
        }
    }
    let mut generics = input.generics.clone();
    if generics.type_params().next().is_some() {
        let bounds = generics.make_where_clause();
        for field in &fields {
            if let FieldValue::Present(ty, _) = &field.value {
                bounds.predicates.push(parse_quote!(#ty: ::graphql_engine::PlainOutput));
            }
        }
    }
    let name = &input.ident;
    let (_, parameters, _) = input.generics.split_for_impl();
    Ok(implement(&generics, &parse_quote!(#name #parameters), &fields))
}

/// Expands `#[derive(PlainEnum)]`: implements `PlainOutput` for an enum.
pub(super) fn expand_enum(input: &DeriveInput) -> TokenStream {
    let name = &input.ident;
    quote! {
        impl ::graphql_engine::PlainOutput for #name {
            type Selection = ();

            fn compile(_: &::graphql_engine::SelectionSet) -> ::core::option::Option<()> {
                ::core::option::Option::Some(())
            }

            fn write(
                &self,
                (): &(),
                json: &mut ::graphql_engine::PlainJson,
            ) -> ::core::result::Result<(), ::graphql_engine::NotAtHand> {
                ::graphql_engine::write_enum(self, json);
                ::core::result::Result::Ok(())
            }
        }
    }
}

/// Implements `PlainObject` and `PlainOutput` for a type with these plain fields.
fn implement(generics: &Generics, object: &Type, fields: &[PlainField]) -> TokenStream {
    let (of, _, bounds) = generics.split_for_impl();
    let named = fields.iter().filter_map(|field| {
        let name = field.name.as_ref()?;
        Some(match &field.value {
            FieldValue::Present(ty, read) => quote! {
                #name => {
                    let below = <#ty as ::graphql_engine::PlainOutput>::compile(selection)?;
                    ::core::option::Option::Some(::graphql_engine::FieldWriter::new(
                        move |object: &#object, json: &mut ::graphql_engine::PlainJson| {
                            ::graphql_engine::PlainOutput::write(&#read, &below, json)
                        },
                    ))
                }
            },
            FieldValue::AtHand(read) => quote! {
                #name => ::graphql_engine::FieldWriter::at_hand(Self::#read, selection),
            },
            FieldValue::Shared(read) => quote! {
                #name => ::graphql_engine::FieldWriter::shared(Self::#read, selection),
            },
        })
    });
    let flattened = fields.iter().filter(|field| field.name.is_none()).filter_map(|field| {
        let FieldValue::Present(ty, read) = &field.value else { return None };
        let (target, value) = match &**ty {
            Type::Reference(reference) => (&*reference.elem, quote!(#read)),
            ty => (ty, quote!(&#read)),
        };
        Some(quote! {
            if let ::core::option::Option::Some(writer) =
                <#target as ::graphql_engine::PlainObject>::compile_field(name, selection)
            {
                return ::core::option::Option::Some(::graphql_engine::FieldWriter::new(
                    move |object: &#object, json: &mut ::graphql_engine::PlainJson| writer.write(#value, json),
                ));
            }
        })
    });
    quote! {
        impl #of ::graphql_engine::PlainObject for #object #bounds {
            fn compile_field(
                name: &str,
                selection: &::graphql_engine::SelectionSet,
            ) -> ::core::option::Option<::graphql_engine::FieldWriter<Self>> {
                match name {
                    #(#named)*
                    _ => {
                        #(#flattened)*
                        ::core::option::Option::None
                    }
                }
            }
        }

        impl #of ::graphql_engine::PlainOutput for #object #bounds {
            type Selection = ::graphql_engine::ObjectSelection<Self>;

            fn compile(
                selection: &::graphql_engine::SelectionSet,
            ) -> ::core::option::Option<Self::Selection> {
                ::graphql_engine::ObjectSelection::compile(selection)
            }

            fn write(
                &self,
                selection: &Self::Selection,
                json: &mut ::graphql_engine::PlainJson,
            ) -> ::core::result::Result<(), ::graphql_engine::NotAtHand> {
                selection.write(self, json)
            }
        }
    }
}

impl FieldOptions {
    fn read(attributes: &[Attribute]) -> syn::Result<Self> {
        let mut options = Self::default();
        for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("graphql")) {
            attribute.parse_nested_meta(|option| {
                let is = |name: &str| option.path.is_ident(name);
                if is("name") {
                    options.name = Some(option.value()?.parse::<LitStr>()?.value());
                } else if is("flatten") {
                    options.is_flattened = true;
                } else {
                    // A description or a deprecation does not change the value of the field. Every other option can
                    // change it, such as `skip`, `guard` and `directive`.
                    let only_described = is("desc") || is("deprecation");
                    options.is_resolved |= !only_described;
                    skip_value(&option)?;
                }
                Ok(())
            })?;
        }
        Ok(options)
    }

    /// Returns the name of the field in the schema, or None for a flattened field.
    fn schema_name(&self, name: &Ident) -> Option<String> {
        match &self.name {
            _ if self.is_flattened => None,
            Some(given) => Some(given.clone()),
            None => Some(camel_case(&name.unraw().to_string())),
        }
    }
}

/// Reads the value of an option from the input, and ignores it.
fn skip_value(option: &syn::meta::ParseNestedMeta<'_>) -> syn::Result<()> {
    if option.input.peek(syn::token::Paren) {
        let content;
        syn::parenthesized!(content in option.input);
        content.parse::<TokenStream>()?;
    } else if option.input.peek(syn::Token![=]) {
        option.value()?.parse::<syn::Expr>()?;
    }
    Ok(())
}

/// Converts a name in Rust to a name in the schema, as async-graphql does: `latest_score` becomes `latestScore`.
fn camel_case(name: &str) -> String {
    let mut words = name.split('_').filter(|word| !word.is_empty());
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |mut all, word| {
        let mut letters = word.chars();
        all.extend(letters.next().map(|letter| letter.to_ascii_uppercase()));
        all.push_str(letters.as_str());
        all
    })
}
