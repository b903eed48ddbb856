//! Tests of plain fields. A response or event has the same bytes, whether its plain fields are written at once or
//! resolved by async-graphql. Also checks which selections are written at once.

mod documents;

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use async_graphql::{
    Context, Data, EmptyMutation, Enum, ID, InputValueResult, Interface, Object, Scalar, ScalarType, Schema,
    SimpleObject, Subscription, ValidationMode, Value,
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use serde_json::json;

use self::documents::Documents;
use super::request;
use crate::{
    Engine, EngineOptions, ExecutedResponse, ListLength, ParsedSchema, Plain, PlainEnum, PlainObject,
    plain_fields, plain_scalar,
};

const RANDOM_DOCUMENTS: u64 = 400;

type PlainSchema = Schema<Query, EmptyMutation, Subscriptions>;

#[derive(Clone, Copy, PartialEq, Eq, Enum, PlainEnum)]
enum Genre {
    Poetry,
    #[graphql(name = "NON_FICTION_BOOK")]
    Facts,
}

struct Day(i32);

#[Scalar]
impl ScalarType for Day {
    fn parse(_: Value) -> InputValueResult<Self> {
        Ok(Self(1))
    }

    fn to_value(&self) -> Value {
        // The engine must not take a binary value of a resolver for finished JSON. It writes this value as a list of
        // numbers, as async-graphql does.
        if self.0 == 0 {
            Value::Binary(Bytes::from_static(b"\x01\xff"))
        } else {
            json!([self.0, null]).try_into().unwrap()
        }
    }
}

plain_scalar!(Day);

#[derive(Clone, SimpleObject, PlainObject)]
struct Author {
    name: String,
    #[graphql(name = "yearOfBirth")]
    birth: Option<i32>,
    #[graphql(skip)]
    _hidden: i32,
    #[graphql(flatten)]
    address: Address,
}

#[derive(Clone, SimpleObject, PlainObject)]
struct Address {
    city: Option<String>,
    postal_code_2: String,
}

struct Stock {
    count: i32,
}

#[plain_fields]
#[Object]
impl Stock {
    async fn in_stock(&self) -> bool {
        self.count > 0
    }

    async fn stock_for(&self, ctx: &Context<'_>) -> usize {
        ctx.field().name().len()
    }
}

struct Book {
    number: i32,
    authors: Vec<Author>,
    editor: Arc<Author>,
    stock: Stock,
}

#[plain_fields]
#[Object]
impl Book {
    async fn id(&self) -> ID {
        format!("book \"{}\"", self.number).into()
    }

    async fn title(&self) -> Cow<'_, str> {
        Cow::Borrowed("Zeilen\n\u{2028}\u{7}\\ \"ü\" 🦀")
    }

    async fn name(&self) -> &str {
        "<name>"
    }

    async fn r#type(&self) -> Genre {
        if self.number % 2 == 0 { Genre::Poetry } else { Genre::Facts }
    }

    async fn big(&self) -> u64 {
        u64::MAX
    }

    async fn small(&self) -> i64 {
        i64::MIN
    }

    async fn price(&self) -> f64 {
        [1.0, 0.1, 1e300, f64::NAN][usize::try_from(self.number).unwrap() % 4]
    }

    async fn days(&self) -> Vec<Option<Day>> {
        vec![Some(Day(self.number)), None]
    }

    async fn authors(&self) -> &[Author] {
        &self.authors
    }

    async fn first_author(&self) -> Option<&Author> {
        self.authors.first()
    }

    async fn sequels(&self) -> Vec<Arc<Book>> {
        (0..self.number.min(2)).map(|number| Arc::new(book(number))).collect()
    }

    #[graphql(flatten)]
    async fn stock(&self) -> &Stock {
        &self.stock
    }

    #[at_hand(known_first)]
    async fn first_if_known(&self, ctx: &Context<'_>) -> Author {
        assert!(!ctx.field().name().is_empty());
        self.authors[0].clone()
    }

    #[shared(known_editor)]
    async fn editor(&self, ctx: &Context<'_>) -> Author {
        assert!(!ctx.field().name().is_empty());
        Author::clone(&self.editor)
    }

    #[resolved]
    async fn publisher(&self) -> Publisher {
        Publisher
    }

    async fn short(&self, length: usize) -> String {
        "x".repeat(length)
    }

    async fn waits(&self) -> Option<i32> {
        async { None }.await
    }

    #[resolved]
    async fn fails(&self) -> Result<i32, String> {
        Err("it fails".to_owned())
    }
}

impl Book {
    /// Returns the first author of the book, or `None` for the book with the number 2, whose author is not at hand.
    fn known_first(&self) -> Option<&Author> {
        self.authors.first().filter(|_| self.number != 2)
    }

    /// Returns the editor of the book. Books with the numbers 0 and 1 share one editor.
    fn known_editor(&self) -> Option<&Arc<Author>> {
        Some(&self.editor)
    }
}

struct Publisher;

#[Object]
impl Publisher {
    async fn name(&self) -> &str {
        "Insel"
    }

    async fn books(&self) -> Plain<Vec<Book>> {
        Plain(vec![book(7)])
    }
}

#[derive(Interface)]
#[graphql(field(name = "name", ty = "String"))]
enum Named {
    Publisher(Publisher),
    Author(Author),
}

struct Shelf;

#[Object]
impl Shelf {
    async fn books(&self) -> Plain<Vec<Book>> {
        Plain((0..3).map(book).collect())
    }

    async fn no_books(&self) -> Plain<Vec<Book>> {
        Plain(Vec::new())
    }

    async fn one(&self) -> Plain<Option<Arc<Book>>> {
        Plain(Some(Arc::new(book(1))))
    }

    async fn none(&self) -> Option<Plain<Arc<Book>>> {
        None
    }

    async fn named(&self) -> Vec<Named> {
        vec![Named::Publisher(Publisher), Named::Author(book(1).authors.remove(0))]
    }

    async fn fails(&self) -> Result<Plain<Vec<Book>>, String> {
        Err("the shelf fails".to_owned())
    }
}

fn book(number: i32) -> Book {
    let address = Address { city: (number > 1).then(|| "Pune".to_owned()), postal_code_2: "4110".to_owned() };
    let author = |birth| Author { name: "Ada".to_owned(), birth, _hidden: 0, address: address.clone() };
    static EDITOR: LazyLock<Arc<Author>> = LazyLock::new(|| {
        let address = Address { city: None, postal_code_2: "1".to_owned() };
        Arc::new(Author { name: "Shared".to_owned(), birth: None, _hidden: 0, address })
    });
    // A book with a number above 1 gets a new editor, which may have the same place in memory as an editor that was
    // dropped.
    let editor = Author { name: format!("Editor {number}"), ..author(None) };
    let editor = if number < 2 { Arc::clone(&EDITOR) } else { Arc::new(editor) };
    Book { number, authors: vec![author(Some(1815)), author(None)], editor, stock: Stock { count: number } }
}

struct Query;

#[Object]
impl Query {
    async fn shelf(&self) -> Option<Shelf> {
        Some(Shelf)
    }
}

struct Subscriptions;

#[Subscription]
impl Subscriptions {
    async fn arrivals(&self) -> impl Stream<Item = Plain<Vec<Book>>> {
        stream::iter(0..3).map(|number| Plain(vec![book(number)]))
    }
}

/// Makes an engine that writes plain fields at once if `plain_fields` is true, and otherwise lets async-graphql resolve
/// them.
fn engine(plain_fields: bool) -> Arc<Engine<PlainSchema>> {
    let schema = Schema::build(Query, EmptyMutation, Subscriptions)
        .register_output_type::<Named>()
        .validation_mode(ValidationMode::Fast)
        .finish();
    let sdl = schema.sdl();
    const SHORT: ListLength = ListLength::Items(3);
    let lists = &[
        ("Book.authors", SHORT),
        ("Book.sequels", SHORT),
        ("Publisher.books", SHORT),
        ("Shelf.books", SHORT),
        ("Shelf.noBooks", SHORT),
        ("Shelf.fails", SHORT),
        ("Shelf.named", SHORT),
        ("Subscriptions.arrivals", SHORT),
    ];
    let options = EngineOptions { lists, plain_fields, ..EngineOptions::default() };
    Arc::new(Engine::new(schema, ParsedSchema::parse(&sdl).unwrap(), options).unwrap())
}

async fn execute(engine: &Engine<PlainSchema>, document: &str) -> ExecutedResponse {
    let prepared = engine.prepare(&request(document, json!({ "yes": true, "no": false })));
    let operation = prepared.unwrap_or_else(|rejection| panic!("{:?}: {document}", rejection.errors));
    engine.execute(operation, Data::default()).await
}

#[tokio::test]
async fn random_documents_have_the_same_bytes_both_ways() {
    let (plain, resolved) = (engine(true), engine(false));
    let mut with_plain_parts: u64 = 0;
    for seed in 0..RANDOM_DOCUMENTS {
        let document = Documents::new(seed).document();
        let written = execute(&plain, &document).await;
        let expected = execute(&resolved, &document).await;
        with_plain_parts += u64::from(written.has_plain_parts());
        assert!(!expected.has_plain_parts());
        let text = |response: ExecutedResponse| String::from_utf8(response.to_json()).unwrap();
        assert_eq!(text(written), text(expected), "seed {seed}: {document}");
    }
    assert!(
        (RANDOM_DOCUMENTS / 4..RANDOM_DOCUMENTS).contains(&with_plain_parts),
        "{with_plain_parts} had plain parts"
    );
}

#[tokio::test]
async fn each_event_of_a_subscription_has_its_own_parts() {
    let document = "subscription { arrivals { id sequels { inStock } } }";
    let mut texts = Vec::new();
    for engine in [engine(true), engine(false)] {
        let operation = engine.prepare(&request(document, json!({}))).map_err(|it| it.errors).unwrap();
        let responses: Vec<_> = engine.subscribe(operation, Data::default()).collect().await;
        texts.push(responses.iter().map(ExecutedResponse::to_json).collect::<Vec<_>>());
    }
    assert_eq!(texts[0].len(), 3);
    assert_eq!(texts[0], texts[1]);
}

#[tokio::test]
async fn a_selection_of_plain_fields_is_written_at_once() {
    let plain = engine(true);
    for (selection, is_written) in [
        ("id title a: name", true),
        ("__typename ... on Book { id }", true),
        ("editor { name } e: editor { yearOfBirth } f: editor { name }", true),
        ("authors { name yearOfBirth city postalCode2 } firstAuthor { __typename }", true),
        ("inStock sequels { sequels { big } }", true),
        ("id stockFor", false),
        // The third book, with the number 2, does not have its first author at hand.
        ("firstIfKnown { name }", false),
        ("id short(length: 2)", false),
        ("id waits", false),
        ("id publisher { name }", false),
        ("id short(length: 2) @skip(if: $yes)", true),
    ] {
        let document = format!(
            "query ($yes: Boolean!) {{ __typename @include(if: $yes) shelf {{ books {{ {selection} }} }} }}"
        );
        assert_eq!(execute(&plain, &document).await.has_plain_parts(), is_written, "{selection}");
    }
}
