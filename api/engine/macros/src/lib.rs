//! The macros of `graphql-engine`, which re-exports them.

mod guard;
mod plain;

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::{FnArg, ImplItem, ImplItemFn, ItemImpl, LitInt, Pat, PatType, Token, parse_quote};

/// Gives fields the four arguments of a Relay connection: `first`, `after`, `last` and `before`.
///
/// Put the macro above `#[Object]` or `#[ComplexObject]`, and mark one parameter of each field that returns a
/// connection with `#[page]`. The type of this parameter needs a function `new` with the parameters `Option<i32>`,
/// `Option<String>`, `Option<i32>` and `Option<String>`, in the order of the arguments.
///
/// ```ignore
/// #[page_arguments]
/// #[Object]
/// impl Shop {
///     /// The books of the shop, the newest first.
///     async fn books(&self, #[page] page: PageArgs) -> BookConnection {
///         self.page_of_books(page)
///     }
/// }
/// ```
///
/// The descriptions of the arguments name the default page size 50 and the maximum 100. With `#[page_arguments(default
/// = 20, max = 40)]`, they name these sizes instead.
#[proc_macro_attribute]
pub fn page_arguments(
    options: proc_macro::TokenStream,
    item: proc_macro::TokenStream,
) -> proc_macro::TokenStream {
    let expanded = PageSizes::parse(options.into()).and_then(|sizes| expand(&sizes, syn::parse(item)?));
    expanded.unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Makes fields check a permission before they do anything else, and shows the permission in the schema with a
/// directive.
///
/// Give the macro the path of a type directive with one argument. Put the macro above `#[Object]`, and mark one
/// parameter of each restricted field with `#[guard]`. The type of this parameter is a permission, and needs two
/// functions, which may come from a trait:
///
/// - `async fn check(ctx: &Context<'_>) -> Result<Self, E>` checks the permission. If it fails, the field returns its
///   error.
/// - `fn directive_argument() -> T` returns the argument of the directive that the field gets in the schema.
///
/// So the directive and the check come from the same type, and cannot contradict each other. The field must have a
/// parameter `ctx`, and return a `Result` or an `Option<Result>`.
///
/// ```ignore
/// #[guarded_fields(requires_role)]
/// #[Object]
/// impl Shop {
///     /// The orders of all customers.
///     async fn orders(&self, ctx: &Context<'_>, #[guard] clerk: Clerk) -> Result<Vec<Order>> {
///         clerk.orders()
///     }
/// }
/// ```
#[proc_macro_attribute]
pub fn guarded_fields(
    directive: proc_macro::TokenStream,
    item: proc_macro::TokenStream,
) -> proc_macro::TokenStream {
    let directive = syn::parse::<syn::Path>(directive);
    let expanded = directive.and_then(|directive| guard::expand(&directive, syn::parse(item)?));
    expanded.unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Declares the plain fields of an object: the fields that take only `&self` and do not `await` anything. A [`Plain`]
/// value writes plain fields as JSON at once.
///
/// Put the macro above `#[Object]`, and below the other macros of this crate. Mark a field with `#[resolved]` if
/// async-graphql shall always resolve the field. Mark a field that takes a context with `#[at_hand(method)]` if the
/// object often has the value of the field already. The method takes `&self`, and returns an option of a reference to
/// the value. If the method returns None for one object, async-graphql resolves the whole `Plain` value. Use
/// `#[shared(method)]` if many objects have the same value. The method then returns an option of a reference to an
/// `Arc`, and the JSON of the value is made once.
///
/// ```ignore
/// #[plain_fields]
/// #[Object]
/// impl Book {
///     /// The title of the book.
///     async fn title(&self) -> &str {
///         &self.title
///     }
/// }
/// ```
///
/// The return type of each plain field must implement `PlainOutput`.
#[proc_macro_attribute]
pub fn plain_fields(
    _options: proc_macro::TokenStream,
    item: proc_macro::TokenStream,
) -> proc_macro::TokenStream {
    let expanded = syn::parse(item).and_then(plain::expand_impl);
    expanded.unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Declares that all fields of a `SimpleObject` are plain, except fields that are marked with `#[resolved]`.
#[proc_macro_derive(PlainObject, attributes(graphql, resolved))]
pub fn plain_object(item: proc_macro::TokenStream) -> proc_macro::TokenStream {
    let expanded = syn::parse(item).and_then(|input| plain::expand_derive(&input));
    expanded.unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Lets plain fields return this enum, which must also derive `Enum` of async-graphql.
#[proc_macro_derive(PlainEnum)]
pub fn plain_enum(item: proc_macro::TokenStream) -> proc_macro::TokenStream {
    syn::parse(item).map_or_else(syn::Error::into_compile_error, |input| plain::expand_enum(&input)).into()
}

/// The page sizes that the descriptions of the page arguments name.
struct PageSizes {
    default: u32,
    max: u32,
}

impl PageSizes {
    fn parse(options: TokenStream) -> syn::Result<Self> {
        let mut sizes = Self { default: 50, max: 100 };
        let parser = syn::meta::parser(|option| {
            let size = match option.path.get_ident().map(Ident::to_string).as_deref() {
                Some("default") => &mut sizes.default,
                Some("max") => &mut sizes.max,
                _ => return Err(option.error("expected `default` or `max`")),
            };
            *size = option.value()?.parse::<LitInt>()?.base10_parse()?;
            Ok(())
        });
        parser.parse2(options)?;
        Ok(sizes)
    }
}

fn expand(sizes: &PageSizes, mut item: ItemImpl) -> syn::Result<TokenStream> {
    for item in &mut item.items {
        if let ImplItem::Fn(method) = item {
            expand_method(sizes, method)?;
        }
    }
    Ok(quote!(#item))
}

/// Replaces the parameter that is marked with `#[page]` by the four arguments of a connection. Begins the body of the
/// method with a variable of the same name, which is made from the four arguments.
fn expand_method(sizes: &PageSizes, method: &mut ImplItemFn) -> syn::Result<()> {
    let mut parameters = Punctuated::<FnArg, Token![,]>::new();
    for parameter in std::mem::take(&mut method.sig.inputs) {
        let FnArg::Typed(page) = &parameter else {
            parameters.push(parameter);
            continue;
        };
        if !page.attrs.iter().any(|attribute| attribute.path().is_ident("page")) {
            parameters.push(parameter);
            continue;
        }
        let (name, ty) = name_and_type(page)?;
        let [first, after, last, before] =
            ["first", "after", "last", "before"].map(|name| Ident::new(name, Span::call_site()));
        let PageSizes { default, max } = sizes;
        let first_description = format!(
            "The maximum number of items, counted from the start or from `after`: 1 to {max}, default {default}."
        );
        let last_description =
            format!("The maximum number of items, counted from the end or from `before`: 1 to {max}.");
        let arguments: [FnArg; 4] = [
            parse_quote!(#[graphql(desc = #first_description)] #first: Option<i32>),
            parse_quote!(#[graphql(desc = "Only items after this cursor.")] #after: Option<String>),
            parse_quote!(#[graphql(desc = #last_description)] #last: Option<i32>),
            parse_quote!(#[graphql(desc = "Only items before this cursor.")] #before: Option<String>),
        ];
        parameters.extend(arguments);
        let page = parse_quote!(let #name = <#ty>::new(#first, #after, #last, #before););
        method.block.stmts.insert(0, page);
    }
    method.sig.inputs = parameters;
    Ok(())
}

fn name_and_type(parameter: &PatType) -> syn::Result<(&Ident, &syn::Type)> {
    match &*parameter.pat {
        Pat::Ident(name) => Ok((&name.ident, &parameter.ty)),
        pattern => Err(syn::Error::new_spanned(pattern, "give the parameter with `#[page]` a name")),
    }
}
