//! The schema of the tests of the whole engine.

use std::sync::atomic::{AtomicI32, Ordering};

use async_graphql::{
    ComplexObject, EmptySubscription, InputObject, Interface, Object, Schema, SimpleObject, Union,
    ValidationMode,
};

use crate::page_arguments;

pub(super) type TestSchema = Schema<Query, Mutation, EmptySubscription>;

pub(super) fn schema() -> TestSchema {
    Schema::build(Query::default(), Mutation(AtomicI32::new(0)), EmptySubscription)
        .validation_mode(ValidationMode::Fast)
        .finish()
}

#[derive(Default)]
pub(super) struct Query(AtomicI32);

#[derive(SimpleObject)]
struct Node {
    id: i32,
    next: Option<Box<Node>>,
}

#[derive(InputObject)]
struct Input {
    #[graphql(default = 7)]
    with_default: i32,
    optional: Option<i32>,
}

#[derive(SimpleObject)]
struct ItemConnection {
    edges: Vec<ItemEdge>,
}

#[derive(SimpleObject)]
struct ItemEdge {
    cursor: i32,
    node: Node,
}

#[derive(SimpleObject)]
#[graphql(complex)]
struct Dog {
    name: String,
    #[graphql(skip)]
    counted: AtomicI32,
}

#[ComplexObject]
impl Dog {
    async fn count(&self) -> i32 {
        self.counted.fetch_add(1, Ordering::SeqCst)
    }

    async fn owner(&self) -> Owner {
        Owner
    }
}

struct Owner;

#[Object]
impl Owner {
    async fn bites(&self) -> Result<i32, String> {
        Err("it bites".to_owned())
    }
}

#[derive(SimpleObject)]
struct Cat {
    name: String,
}

#[derive(Interface)]
#[graphql(field(name = "name", ty = "&String"))]
enum Being {
    Dog(Dog),
    Cat(Cat),
}

#[derive(Union)]
enum Any {
    Dog(Dog),
    Cat(Cat),
}

fn dog() -> Dog {
    Dog { name: "Rex".to_owned(), counted: AtomicI32::new(0) }
}

fn node(id: i32) -> Node {
    Node { id, next: Some(Box::new(Node { id: id + 1, next: None })) }
}

struct Page {
    first: Option<i32>,
    last: Option<i32>,
}

impl Page {
    fn new(first: Option<i32>, _after: Option<String>, last: Option<i32>, _before: Option<String>) -> Self {
        Self { first, last }
    }
}

#[page_arguments]
#[Object]
impl Query {
    async fn node(&self) -> Node {
        self.0.fetch_add(1, Ordering::SeqCst);
        node(1)
    }

    async fn calls(&self) -> i32 {
        self.0.load(Ordering::SeqCst)
    }

    async fn argument(&self, #[graphql(default = 5)] value: i32) -> i32 {
        value
    }

    async fn input(&self, input: Input) -> String {
        format!("{} {:?}", input.with_default, input.optional)
    }

    async fn items(&self, #[page] page: Page) -> ItemConnection {
        let count = page.first.or(page.last).unwrap_or_default();
        ItemConnection { edges: (0..count).map(|id| ItemEdge { cursor: id, node: node(id) }).collect() }
    }

    async fn latest(&self, #[graphql(default = 20)] last: i32) -> Vec<Node> {
        (0..last).map(node).collect()
    }

    async fn nodes(&self, ids: Vec<i32>) -> Vec<Node> {
        ids.into_iter().map(node).collect()
    }

    async fn any(&self) -> Any {
        Any::Dog(dog())
    }

    async fn being(&self) -> Being {
        Being::Cat(Cat { name: "Tom".to_owned() })
    }

    async fn dogs(&self) -> Vec<Option<Any>> {
        vec![Some(Any::Dog(dog())), Some(Any::Dog(dog()))]
    }

    async fn failing(&self) -> Option<Result<i32, String>> {
        Some(Err("it fails".to_owned()))
    }

    async fn many_failing(&self) -> Vec<Option<Result<i32, String>>> {
        (0..100).map(|number| Some(Err(format!("{number} fails")))).collect()
    }
}

pub(super) struct Mutation(AtomicI32);

#[Object]
impl Mutation {
    async fn count(&self) -> Node {
        node(self.0.fetch_add(1, Ordering::SeqCst))
    }
}
