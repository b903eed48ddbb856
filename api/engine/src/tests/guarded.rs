//! Tests of fields with `#[guard]`. The check of the permission runs before the field, and a refusal sets a nullable
//! field to null. A guarded field can also be a page. The directive names the people who pass the check.

use std::sync::atomic::{AtomicI32, Ordering};

use async_graphql::{
    Context, EmptyMutation, EmptySubscription, Error, Object, Request, Response, Schema, TypeDirective,
};

use crate::{guarded_fields, page_arguments};

/// Marks a field that only the people in the argument may use.
#[TypeDirective(name = "onlyFor", location = "FieldDefinition")]
fn only_for(people: Vec<String>) {}

/// The person who sends a request.
struct Person(&'static str);

/// The permission of a clerk, with the name of the clerk. Only Ada and Bo are clerks.
struct Clerk(&'static str);

impl Clerk {
    async fn check(ctx: &Context<'_>) -> Result<Self, Error> {
        match ctx.data_opt::<Person>() {
            Some(Person(name @ ("Ada" | "Bo"))) => Ok(Self(name)),
            _ => Err("This is for clerks.".into()),
        }
    }

    fn directive_argument() -> Vec<String> {
        vec!["Ada".to_owned(), "Bo".to_owned()]
    }
}

struct PageArgs(Option<i32>);

impl PageArgs {
    fn new(first: Option<i32>, _after: Option<String>, _last: Option<i32>, _before: Option<String>) -> Self {
        Self(first)
    }
}

/// The query root, which counts how often the bodies of its fields ran.
struct Query(AtomicI32);

impl Query {
    fn ran(&self) -> i32 {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }
}

#[page_arguments]
#[guarded_fields(only_for)]
#[Object]
impl Query {
    async fn open(&self) -> i32 {
        self.ran()
    }

    async fn guarded(&self, ctx: &Context<'_>, #[guard] clerk: Clerk, times: i32) -> Result<String, Error> {
        self.ran();
        let Person(name) = ctx.data::<Person>()?;
        Ok(format!("{name} is {} {times} times", clerk.0))
    }

    #[graphql(name = "nullableAndOld", deprecation = "old")]
    async fn nullable(&self, ctx: &Context<'_>, #[guard] clerk: Clerk) -> Option<Result<i32, Error>> {
        self.ran();
        Some(ctx.data::<Person>().map(|_| i32::try_from(clerk.0.len()).unwrap_or_default()))
    }

    async fn list(
        &self,
        ctx: &Context<'_>,
        #[page] page: PageArgs,
        #[guard] _clerk: Clerk,
    ) -> Result<i32, Error> {
        self.ran();
        ctx.data::<Person>()?;
        Ok(page.0.unwrap_or(20))
    }
}

fn schema() -> Schema<Query, EmptyMutation, EmptySubscription> {
    Schema::new(Query(AtomicI32::new(0)), EmptyMutation, EmptySubscription)
}

async fn ask(person: Option<&'static str>, document: &str) -> (String, Vec<String>, i32) {
    let schema = schema();
    let mut request = Request::new(document);
    if let Some(person) = person {
        request = request.data(Person(person));
    }
    let Response { data, errors, .. } = schema.execute(request).await;
    let errors = errors.into_iter().map(|error| error.message).collect();
    let Response { data: ran, .. } = schema.execute("{ open }").await;
    let ran: i32 =
        ran.to_string().trim_matches(|char: char| !char.is_ascii_digit()).parse().unwrap_or_default();
    (data.to_string(), errors, ran - 1)
}

#[tokio::test]
async fn a_guarded_field_runs_only_for_those_who_pass_its_check() {
    let document = "{ guarded(times: 2) }";
    let answer = r#"{guarded: "Bo is Bo 2 times"}"#.to_owned();
    assert_eq!(ask(Some("Bo"), document).await, (answer, vec![], 1));
    for person in [None, Some("Cy")] {
        let refused = ("null".to_owned(), vec!["This is for clerks.".to_owned()], 0);
        assert_eq!(ask(person, document).await, refused);
    }
}

#[tokio::test]
async fn a_refusal_nulls_only_a_nullable_field() {
    let document = "{ before: open nullableAndOld }";
    let answer = "{before: 1, nullableAndOld: 3}".to_owned();
    assert_eq!(ask(Some("Ada"), document).await, (answer, vec![], 2));
    let refused = "{before: 1, nullableAndOld: null}".to_owned();
    assert_eq!(ask(None, document).await, (refused, vec!["This is for clerks.".to_owned()], 1));
}

#[tokio::test]
async fn a_field_can_be_a_guarded_page() {
    assert_eq!(ask(Some("Ada"), "{ list(first: 7) }").await, ("{list: 7}".to_owned(), vec![], 1));
    assert_eq!(ask(None, "{ list(first: 7) }").await.2, 0);
}

#[test]
fn the_schema_names_who_may_use_a_guarded_field() {
    let sdl = schema().sdl();
    let line = |field: &str| {
        let from = sdl.find(field).map_or("", |at| &sdl[at..]);
        from.split_once('\n').map_or("", |(line, _)| line).to_owned()
    };
    let directive = r#"@onlyFor(people: ["Ada", "Bo"])"#;
    assert_eq!(line("guarded(times: Int!)"), format!("guarded(times: Int!): String! {directive}"));
    assert!(line("nullableAndOld").contains(directive), "{sdl}");
    assert!(line("nullableAndOld").contains("@deprecated"), "{sdl}");
    assert_eq!(line("open"), "open: Int!");
    assert!(sdl.contains("directive @onlyFor(people: [String!]!) on FIELD_DEFINITION"), "{sdl}");
    // The parameter with the permission is not an argument in the schema.
    assert!(!sdl.contains("clerk"), "{sdl}");
}
