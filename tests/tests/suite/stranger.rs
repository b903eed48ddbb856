//! A stranger tries every field of the schema, found by introspection, with ids of another user.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use jishu_tests::{Backend, Client, GraphqlResponse, TestApp};
use serde_json::{Value, json};

pub(crate) const INTROSPECTION: &str = "{ __schema { queryType { name } mutationType { name } types {
    name kind possibleTypes { name } enumValues { name }
    fields { name type { ...T } args { name type { ...T } } } inputFields { name type { ...T } } } } }
  fragment T on __Type { name kind ofType { name kind ofType { name kind ofType { name kind } } } }";

/// Maximum depth of the generated documents, enough to select the objects to which the items of a list refer.
const MAX_DEPTH: usize = 7;

/// Flags that raise the limits for documents, because the generated ones are large.
pub(crate) const FLAGS: &[&str] =
    &["--max-cost", "1000000", "--max-selections", "100000", "--max-tokens", "1000000", "--max-depth", "50"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_finds_nothing_of_anybody_elses_in_the_whole_schema() {
    if !Backend::Sqlite.is_selected() {
        return;
    }
    let app = Arc::new(TestApp::start_with(Backend::Sqlite, FLAGS).await);
    let course = app.course(&["Physics", "Chemistry"]).cards(2).create(&app).await;
    let asha = app.learner("Asha").await;
    let hers = asha
        .run_with(
            "mutation ($input: PurchaseInput!, $cart: [ID!]!) {
               purchase(input: $input) { purchase { id } testCards { edges { node { id } } } }
               addToCart(subjectIds: $cart) { userErrors { code } } }",
            json!({ "cart": [course.subjects[1]], "input": {
                "courseId": course.id, "purchaseType": "SINGLE_SUBJECT", "subjectIds": [course.subjects[0]] } }),
        )
        .await;
    let card = hers.text("/purchase/testCards/edges/0/node/id");
    let purchase = hers.text("/purchase/purchase/id");
    let user = asha.run("{ viewer { id } }").await.text("/viewer/id").to_owned();
    let secrets = [card, purchase, user.as_str(), "asha@example.com", "Asha"];
    let ids = [card, purchase, &user, &course.subjects[0], &course.subjects[1], &course.id];

    let schema = Schema::read(&app.anonymous().run(INTROSPECTION).await);
    let binod = app.learner("Binod").await;
    let queries = schema.operations("query", &ids);
    assert!(queries.len() > 20, "{} documents", queries.len());
    let mut seen = BTreeSet::new();
    for document in &queries {
        let answer = asha.send(document, Value::Null).await.body.to_string();
        seen.extend(secrets.iter().filter(|secret| answer.contains(**secret)));
        for stranger in [&binod, &app.anonymous()] {
            expect_nothing(stranger, document, &secrets).await;
        }
    }
    assert_eq!(
        seen,
        BTreeSet::from(secrets),
        "the owner does not see everything, so the documents do not read all"
    );
    let reached: BTreeSet<_> =
        queries.iter().flat_map(|document| document.split(char::is_whitespace)).collect();
    for field in schema.fields_below("Query") {
        assert!(reached.contains(field.as_str()), "no query selects {field}");
    }

    let before = her_rows(&app).await;
    for document in schema.operations("mutation", &ids) {
        for stranger in [&binod, &app.anonymous()] {
            expect_nothing(stranger, &document, &secrets).await;
        }
    }
    assert_eq!(her_rows(&app).await, before, "a stranger changed rows of the owner");
    Arc::into_inner(app).unwrap().stop().await;
}

async fn expect_nothing(stranger: &Client, document: &str, secrets: &[&str]) {
    let answer = stranger.send(document, Value::Null).await.body.to_string();
    // An error may repeat the id that the stranger sent.
    for secret in secrets.iter().filter(|secret| !document.contains(**secret)) {
        assert!(!answer.contains(secret), "{secret} is shown to a stranger by {document}\n{answer}");
    }
    let data: Value = serde_json::from_str(&answer).unwrap();
    assert!(data["errors"][0]["extensions"]["code"] != "INTERNAL", "{document}\n{answer}");
    assert!(data["errors"][0]["extensions"]["code"] != "GRAPHQL_VALIDATION_FAILED", "{document}\n{answer}");
}

async fn her_rows(app: &TestApp) -> Vec<i64> {
    let mut rows = Vec::new();
    for (table, owner) in [
        ("users", "id"),
        ("cart_items", "user_id"),
        ("purchases", "user_id"),
        ("entitlements", "user_id"),
        ("mock_test_attempts", "user_id"),
        ("refresh_tokens", "user_id"),
    ] {
        rows.push(app.number(&format!("SELECT COUNT(*) FROM {table} WHERE {owner} = 1")).await);
    }
    rows
}

/// The types of the schema that introspection returns, by their names.
pub(crate) struct Schema {
    types: HashMap<String, Value>,
}

impl Schema {
    pub(crate) fn read(answer: &GraphqlResponse) -> Self {
        let types = answer.list("/__schema/types").iter();
        Self { types: types.map(|ty| (ty["name"].as_str().unwrap().to_owned(), ty.clone())).collect() }
    }

    fn find(&self, name: &str) -> &Value {
        self.types.get(name).unwrap_or_else(|| panic!("no type {name}"))
    }

    /// Returns operations for each root field and each id, with and without the optional arguments.
    pub(crate) fn operations(&self, kind: &str, ids: &[&str]) -> Vec<String> {
        let root = if kind == "query" { "Query" } else { "Mutation" };
        let mut documents = BTreeSet::new();
        for id in ids {
            for optional in [true, false] {
                let tried = Attempt { schema: self, id, optional, selections: RefCell::default() };
                for field in self.find(root)["fields"].as_array().unwrap() {
                    documents.insert(format!("{kind} {{ {} }}", tried.field(field, MAX_DEPTH)));
                }
            }
        }
        documents.into_iter().collect()
    }

    /// Returns the names of all fields that can be reached from a type.
    pub(crate) fn fields_below(&self, root: &str) -> BTreeSet<String> {
        let (mut names, mut open, mut known) = (BTreeSet::new(), vec![root.to_owned()], BTreeSet::new());
        while let Some(ty) = open.pop() {
            if !known.insert(ty.clone()) {
                continue;
            }
            let ty = self.find(&ty);
            let possible = ty["possibleTypes"].as_array().into_iter().flatten();
            open.extend(possible.map(|it| it["name"].as_str().unwrap().to_owned()));
            for field in ty["fields"].as_array().into_iter().flatten() {
                names.insert(field["name"].as_str().unwrap().to_owned());
                open.push(named(&field["type"]).to_owned());
            }
        }
        names
    }
}

/// Returns the name of the type that remains without the wrappers for lists and non-null.
fn named(ty: &Value) -> &str {
    if ty["ofType"].is_null() { ty["name"].as_str().unwrap() } else { named(&ty["ofType"]) }
}

/// Generates operations whose arguments contain one id, with or without the optional arguments.
struct Attempt<'a> {
    schema: &'a Schema,
    id: &'a str,
    optional: bool,
    /// The selections that were generated, by the name of their type and their depth.
    selections: RefCell<HashMap<(String, usize), Option<String>>>,
}

impl Attempt<'_> {
    fn field(&self, field: &Value, depth: usize) -> String {
        let name = field["name"].as_str().unwrap();
        let arguments: Vec<_> =
            field["args"].as_array().unwrap().iter().filter_map(|argument| self.argument(argument)).collect();
        let arguments =
            if arguments.is_empty() { String::new() } else { format!("({})", arguments.join(", ")) };
        format!("{name} {arguments} {}", self.selection(named(&field["type"]), depth - 1).unwrap_or_default())
    }

    /// Returns a selection of the fields of a type, up to this depth. Returns `None` for a type without fields.
    /// Generates each selection only once.
    fn selection(&self, ty: &str, depth: usize) -> Option<String> {
        let key = (ty.to_owned(), depth);
        if let Some(made) = self.selections.borrow().get(&key) {
            return made.clone();
        }
        let made = self.new_selection(ty, depth);
        self.selections.borrow_mut().insert(key, made.clone());
        made
    }

    fn new_selection(&self, ty: &str, depth: usize) -> Option<String> {
        let ty = self.schema.find(ty);
        let selections = match ty["kind"].as_str().unwrap() {
            "OBJECT" => self.fields(ty, depth).join(" "),
            "INTERFACE" | "UNION" => {
                let possible = ty["possibleTypes"].as_array().unwrap().iter().map(|possible| {
                    let name = possible["name"].as_str().unwrap();
                    let fields = self.fields(self.schema.find(name), depth);
                    // A field of the same name may have another type or other arguments in each object type, so it gets
                    // an alias.
                    let fields: Vec<_> = fields.iter().map(|field| aliased(name, field)).collect();
                    format!("... on {name} {{ __typename {} }}", fields.join(" "))
                });
                possible.collect::<Vec<_>>().join(" ")
            }
            _ => return None,
        };
        Some(format!("{{ __typename {selections} }}"))
    }

    fn fields(&self, ty: &Value, depth: usize) -> Vec<String> {
        let fields = ty["fields"].as_array().unwrap().iter();
        let leads_on = |field: &Value| self.schema.find(named(&field["type"]))["fields"].is_array();
        fields.filter(|field| depth > 1 || !leads_on(field)).map(|field| self.field(field, depth)).collect()
    }

    fn argument(&self, argument: &Value) -> Option<String> {
        let name = argument["name"].as_str().unwrap();
        let required = argument["type"]["kind"] == "NON_NULL";
        match name {
            "first" => return Some("first: 2".to_owned()),
            // Leaves out arguments that select a page, which another test covers.
            "after" | "last" | "before" => return None,
            _ if !required && !self.optional => return None,
            _ => {}
        }
        Some(format!("{name}: {}", self.value(&argument["type"])))
    }

    fn value(&self, ty: &Value) -> String {
        match ty["kind"].as_str().unwrap() {
            "NON_NULL" => self.value(&ty["ofType"]),
            "LIST" => format!("[{}]", self.value(&ty["ofType"])),
            "ENUM" => {
                let ty = self.schema.find(named(ty));
                ty["enumValues"][0]["name"].as_str().unwrap().to_owned()
            }
            "INPUT_OBJECT" => {
                let ty = self.schema.find(named(ty));
                let fields = ty["inputFields"].as_array().unwrap().iter().filter_map(|it| self.argument(it));
                format!("{{ {} }}", fields.collect::<Vec<_>>().join(", "))
            }
            _ => match named(ty) {
                "ID" => format!("\"{}\"", self.id),
                "Int" | "Float" => "1".to_owned(),
                "Boolean" => "true".to_owned(),
                "Decimal" => "\"100.00\"".to_owned(),
                "UUID" => "\"123e4567-e89b-12d3-a456-426614174000\"".to_owned(),
                "DateTime" => "\"2026-11-23T09:30:00Z\"".to_owned(),
                _ => "\"asha@example.com\"".to_owned(),
            },
        }
    }
}

fn aliased(ty: &str, field: &str) -> String {
    let (name, _) = field.split_once(' ').unwrap_or((field, ""));
    format!("{ty}_{name}: {field}")
}
