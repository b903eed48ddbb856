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
    /// The name in the schema. None for a flattened field, whose own fields belong to the object.
    name: Option<String>,
    value: FieldValue,
}

/// The way in which the value of a plain field is read.
enum FieldValue {
    /// The value can always be read without `await`. It has this type, and this expression reads it from `object`.
    Present(Box<Type>, TokenStream),
    /// This method returns the value if the object has it at hand.
    AtHand(Ident),
    /// This method returns the value, which other objects share, if the object has it at hand.
    Shared(Ident),
}

/// The options of a field in its attribute `#[graphql(…)]`.
#[derive(Default)]
struct FieldOptions {
    name: Option<String>,
    is_flattened: bool,
    /// The field is not in the schema, or has options that only async-graphql applies.
    is_resolved: bool,
}

/// Expands `#[plain_fields]`: gives each plain field a function that is not async.
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

/// Reads the mark `#[at_hand(method)]` or `#[shared(method)]` of a field.
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

/// Moves the body of a plain field into a function that is not async. Returns None if the field is not plain.
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
        parse_quote!(#[allow(clippy::unused_self, reason = "a field takes the object")]),
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

/// Expands `#[derive(PlainObject)]`: all fields of the struct are plain.
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

/// Expands `#[derive(PlainEnum)]`.
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

/// Implements the two traits of plain objects.
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
                    // A description changes nothing. Skipped and guarded fields, directives and all else do.
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

/// Reads over the value of an option.
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

/// Converts a name of Rust like async-graphql does: `latest_score` becomes `latestScore`.
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
