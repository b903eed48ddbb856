//! A schema about books, and documents that show what the engine does with them.
//!
//! Prints the title of each request with its response or rejection. Run the example with `cargo run -p graphql-engine
//! --example bookshop`.

use std::error::Error;
use std::sync::atomic::{AtomicI32, Ordering};

use async_graphql::{
    ComplexObject, Data, EmptySubscription, InputValueError, InputValueResult, Interface, Object, Scalar,
    ScalarType, Schema, SimpleObject, ValidationMode, Value,
};
use graphql_engine::{
    CustomScalars, DocumentLimits, Engine, EngineOptions, GraphqlRequest, ListLength, PageSizes,
    ParsedSchema, TrustedDocuments, page_arguments,
};
use serde_json::json;

/// A price with two decimal places, such as `12.50`.
struct Price(String);

#[Scalar]
impl ScalarType for Price {
    fn parse(value: Value) -> InputValueResult<Self> {
        match value {
            Value::String(text) if is_price(&text) => Ok(Self(text)),
            value => Err(InputValueError::expected_type(value)),
        }
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.clone())
    }
}

fn is_price(text: &str) -> bool {
    let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    text.split_once('.')
        .is_some_and(|(units, cents)| is_number(units) && is_number(cents) && cents.len() == 2)
}

#[derive(SimpleObject)]
struct Author {
    name: String,
    /// The year of birth. The field fails for some authors.
    birth_year: Option<Result<i32, String>>,
}

/// A printed book.
#[derive(SimpleObject)]
#[graphql(complex)]
struct Book {
    title: String,
}

#[ComplexObject]
impl Book {
    async fn authors(&self) -> Vec<Author> {
        let unknown = || Some(Err("The year of birth is not known.".to_owned()));
        vec![
            Author { name: "Ada".to_owned(), birth_year: Some(Ok(1815)) },
            Author { name: "Homer".to_owned(), birth_year: unknown() },
        ]
    }
}

#[derive(SimpleObject)]
struct Magazine {
    title: String,
    issue: i32,
}

/// Anything that the shop sells.
#[derive(Interface)]
#[graphql(field(name = "title", ty = "&String"))]
enum Article {
    Book(Book),
    Magazine(Magazine),
}

#[derive(SimpleObject)]
struct ArticleEdge {
    node: Article,
}

#[derive(SimpleObject)]
struct ArticleConnection {
    edges: Vec<ArticleEdge>,
}

/// The page that a client asks for. The example ignores `last` and the cursors, which a real server would use.
struct PageArgs {
    first: Option<usize>,
}

impl PageArgs {
    fn new(first: Option<i32>, _after: Option<String>, _last: Option<i32>, _before: Option<String>) -> Self {
        Self { first: first.and_then(|first| usize::try_from(first).ok()) }
    }
}

struct Query;

#[page_arguments(default = 20, max = 100)]
#[Object]
impl Query {
    async fn articles(&self, #[page] page: PageArgs, max_price: Option<Price>) -> ArticleConnection {
        // Every article of this example costs at least 1.00, so a lower maximum finds no article.
        if max_price.is_some_and(|Price(max)| max.starts_with("0.")) {
            return ArticleConnection { edges: Vec::new() };
        }
        let articles = [
            Article::Book(Book { title: "Notes".to_owned() }),
            Article::Magazine(Magazine { title: "Weekly".to_owned(), issue: 7 }),
        ];
        let edges = articles.into_iter().take(page.first.unwrap_or(20)).map(|node| ArticleEdge { node });
        ArticleConnection { edges: edges.collect() }
    }

    async fn book(&self) -> Book {
        Book { title: "Notes".to_owned() }
    }
}

#[derive(Default)]
struct Mutation {
    orders: AtomicI32,
}

#[derive(SimpleObject)]
struct Order {
    number: i32,
    title: String,
}

#[Object]
impl Mutation {
    async fn order(&self, title: String) -> Order {
        Order { number: self.orders.fetch_add(1, Ordering::SeqCst) + 1, title }
    }
}

type Bookshop = Schema<Query, Mutation, EmptySubscription>;

/// The id of the trusted document `TRUSTED_TEXT`: the SHA-256 of its text.
const TRUSTED_ID: &str = "80ecdc2d2feb386f9e78b9c46c3daccaef3196a927b7cad3557fab8c38879466";
const TRUSTED_TEXT: &str = "{ book { title } }";

/// Builds the engine. A test that calls this function finds errors in the options.
fn engine() -> Result<Engine<Bookshop>, Box<dyn Error>> {
    // The engine validates documents, so async-graphql does not need to validate them again.
    let schema = Schema::build(Query, Mutation::default(), EmptySubscription)
        .validation_mode(ValidationMode::Fast)
        .finish();
    let sdl = schema.sdl();
    let manifest = json!({ TRUSTED_ID: TRUSTED_TEXT }).to_string();
    let options = EngineOptions {
        limits: DocumentLimits { cost: 500, ..DocumentLimits::DEFAULT },
        trusted: TrustedDocuments::from_manifest(&manifest)?,
        scalars: CustomScalars::default().with::<Price>("Price"),
        // `Book.authors` is a list that is not a page, so it needs a length. `ArticleConnection.edges` is a page,
        // because the field `articles` has the argument `first`.
        lists: &[("Book.authors", ListLength::Items(3))],
        page_sizes: PageSizes { default: 20, max: 100 },
        ..EngineOptions::default()
    };
    Ok(Engine::new(schema, ParsedSchema::parse(&sdl)?, options)?)
}

/// Makes eight requests, each with a title that says what the engine does.
fn requests() -> Vec<(&'static str, GraphqlRequest)> {
    let document = |text: &str, variables: serde_json::Value| GraphqlRequest {
        query: Some(text.to_owned()),
        variables: serde_json::from_value(variables).unwrap_or_default(),
        ..GraphqlRequest::default()
    };
    let mut doubling = "{ book { ...F0 } }".to_owned();
    for step in 0..30 {
        doubling += &format!(" fragment F{step} on Book {{ ...F{0} ...F{0} }}", step + 1);
    }
    doubling += " fragment F30 on Book { title }";
    vec![
        (
            "A mutation field that is selected twice runs once",
            document(
                r#"mutation { order(title: "Notes") { number } order(title: "Notes") { title } }"#,
                json!({}),
            ),
        ),
        (
            "A fragment on an interface",
            document(
                "{ articles { edges { node { title ... on Magazine { issue } ...B } } } } fragment B on Book { title }",
                json!({}),
            ),
        ),
        (
            "An error has the whole path to its field",
            document("{ book { authors { name birthYear } } }", json!({})),
        ),
        (
            "A custom scalar is checked before anything runs",
            document(
                "query ($price: Price) { articles(maxPrice: $price) { edges { node { title } } } }",
                json!({ "price": "12.5" }),
            ),
        ),
        (
            "A missing variable is refused",
            document("mutation ($title: String!) { order(title: $title) { number } }", json!({})),
        ),
        ("Fragments that double 30 times are refused at once", document(&doubling, json!({}))),
        (
            "A response that could be too large is refused",
            document(
                "{ articles(first: 100) { edges { node { ... on Book { authors { name } } } } } }",
                json!({}),
            ),
        ),
        (
            "A trusted document is found by its id",
            GraphqlRequest { document_id: Some(TRUSTED_ID.to_owned()), ..GraphqlRequest::default() },
        ),
    ]
}

/// Runs each of the requests. Returns its title, and its response or rejection as JSON.
async fn responses() -> Result<Vec<(&'static str, String)>, Box<dyn Error>> {
    let engine = engine()?;
    let mut responses = Vec::new();
    for (title, request) in requests() {
        let response = match engine.prepare(&request) {
            Ok(operation) => String::from_utf8(engine.execute(operation, Data::default()).await.to_json())?,
            Err(rejection) => serde_json::to_string(&json!({ "errors": rejection.errors }))?,
        };
        responses.push((title, response));
    }
    Ok(responses)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    for (title, response) in responses().await? {
        println!("{title}\n    {response}\n");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::Value as Json;

    use super::*;

    #[tokio::test]
    async fn each_request_has_the_response_that_its_title_promises() {
        let responses: Vec<Json> = responses()
            .await
            .unwrap()
            .iter()
            .map(|(_, response)| serde_json::from_str(response).unwrap())
            .collect();
        let [merged, fragment, error_path, scalar, variable, doubling, cost, trusted] = responses.as_slice()
        else {
            panic!("there are 8 requests");
        };
        assert_eq!(merged["data"], json!({ "order": { "number": 1, "title": "Notes" } }));
        assert_eq!(
            fragment["data"]["articles"]["edges"],
            json!([{ "node": { "title": "Notes" } }, { "node": { "title": "Weekly", "issue": 7 } }])
        );
        assert_eq!(error_path["data"]["book"]["authors"][1], json!({ "name": "Homer", "birthYear": null }));
        assert_eq!(error_path["errors"][0]["path"], json!(["book", "authors", 1, "birthYear"]));
        let code = |response: &Json| response["errors"][0]["extensions"]["code"].clone();
        assert_eq!(code(scalar), "GRAPHQL_VALIDATION_FAILED");
        assert_eq!(code(variable), "GRAPHQL_VALIDATION_FAILED");
        assert_eq!(
            doubling["errors"][0]["extensions"],
            json!({ "code": "LIMIT_EXCEEDED", "limit": "selections", "maximum": 2_000 })
        );
        assert_eq!(
            cost["errors"][0]["extensions"],
            json!({ "code": "LIMIT_EXCEEDED", "limit": "cost", "maximum": 500 })
        );
        assert_eq!(trusted["data"], json!({ "book": { "title": "Notes" } }));
    }
}
