//! Measures the response with a page of 50 items in three ways: plain fields written at once, fields resolved by
//! async-graphql, and the same JSON written by serde without GraphQL.
//!
//! `cargo bench -p graphql-engine` prints the median time of a response for each of the three ways. They take turns, so
//! that a busy machine disturbs all of them equally.

#![expect(clippy::unwrap_used, reason = "a measurement")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use async_graphql::{
    Data, EmptyMutation, EmptySubscription, Enum, ID, Object, Schema, SimpleObject, ValidationMode,
};
use graphql_engine::{
    Engine, EngineOptions, GraphqlRequest, ListLength, ParsedSchema, Plain, PlainEnum, PlainObject,
    plain_fields,
};
use serde_json::json;

const ITEMS: i32 = 50;
const TURNS: usize = 300;
const RUNS_PER_TURN: u32 = 10;

const DOCUMENT: &str = "{ cards { cursor node { id testNumber status maxAttempts attemptsUsed remainingAttempts latestScore \
                        subject { id name course { id name } } } } }";

#[derive(Clone, Copy, PartialEq, Eq, Enum, PlainEnum)]
enum Status {
    Available,
    Completed,
}

#[derive(Clone, PlainObject, SimpleObject)]
struct Course {
    id: ID,
    name: String,
}

#[derive(Clone, PlainObject, SimpleObject)]
struct Subject {
    id: ID,
    name: String,
    course: Course,
}

#[derive(Clone)]
struct Card {
    number: i32,
    subject: Subject,
}

#[plain_fields]
#[Object]
impl Card {
    async fn id(&self) -> ID {
        format!("Card:{}", self.number).into()
    }

    async fn test_number(&self) -> i32 {
        self.number
    }

    async fn status(&self) -> Status {
        if self.number % 2 == 0 { Status::Available } else { Status::Completed }
    }

    async fn max_attempts(&self) -> i32 {
        3
    }

    async fn attempts_used(&self) -> i32 {
        self.number % 3
    }

    async fn remaining_attempts(&self) -> i32 {
        3 - self.number % 3
    }

    async fn latest_score(&self) -> Option<String> {
        (self.number % 2 == 1).then(|| "12.50".to_owned())
    }

    async fn subject(&self) -> &Subject {
        &self.subject
    }
}

#[derive(Clone, PlainObject, SimpleObject)]
struct Edge {
    cursor: String,
    node: Card,
}

struct Query {
    edges: Vec<Edge>,
}

#[Object]
impl Query {
    async fn cards(&self) -> Plain<Vec<Edge>> {
        Plain(self.edges.clone())
    }
}

fn edges() -> Vec<Edge> {
    let course = Course { id: "Course:1".into(), name: "Engineering entrance".to_owned() };
    let subject = Subject { id: "Subject:1".into(), name: "Physics".to_owned(), course };
    let card = |number| Card { number, subject: subject.clone() };
    (1..=ITEMS).map(|number| Edge { cursor: format!("cursor-{number}"), node: card(number) }).collect()
}

fn engine(plain_fields: bool) -> Engine<Schema<Query, EmptyMutation, EmptySubscription>> {
    let schema = Schema::build(Query { edges: edges() }, EmptyMutation, EmptySubscription)
        .validation_mode(ValidationMode::Fast)
        .finish();
    let sdl = schema.sdl();
    let lists = &[("Query.cards", ListLength::Items(50))];
    Engine::new(
        schema,
        ParsedSchema::parse(&sdl).unwrap(),
        EngineOptions { lists, plain_fields, ..EngineOptions::default() },
    )
    .unwrap()
}

/// Makes the JSON of the response as a handler without GraphQL would write it.
fn by_hand(edges: &[Edge]) -> Vec<u8> {
    #[derive(serde::Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Node<'e> {
        id: String,
        test_number: i32,
        status: &'static str,
        max_attempts: i32,
        attempts_used: i32,
        remaining_attempts: i32,
        latest_score: Option<String>,
        subject: Of<'e>,
    }
    #[derive(serde::Serialize)]
    struct Of<'e> {
        id: &'e str,
        name: &'e str,
        course: In<'e>,
    }
    #[derive(serde::Serialize)]
    struct In<'e> {
        id: &'e str,
        name: &'e str,
    }
    #[derive(serde::Serialize)]
    struct Written<'e> {
        cursor: &'e str,
        node: Node<'e>,
    }
    // Copies the edges, because `Query::cards` also copies them in the two ways with GraphQL.
    let edges = edges.to_vec();
    let page: Vec<_> = edges
        .iter()
        .map(|Edge { cursor, node: Card { number, subject } }| Written {
            cursor,
            node: Node {
                id: format!("Card:{number}"),
                test_number: *number,
                status: if number % 2 == 0 { "AVAILABLE" } else { "COMPLETED" },
                max_attempts: 3,
                attempts_used: number % 3,
                remaining_attempts: 3 - number % 3,
                latest_score: (number % 2 == 1).then(|| "12.50".to_owned()),
                subject: Of {
                    id: &subject.id,
                    name: &subject.name,
                    course: In { id: &subject.course.id, name: &subject.course.name },
                },
            },
        })
        .collect();
    let mut json = br#"{"data":{"cards":"#.to_vec();
    serde_json::to_writer(&mut json, &page).unwrap();
    json.extend_from_slice(b"}}");
    json
}

async fn respond(engine: &Engine<Schema<Query, EmptyMutation, EmptySubscription>>) -> Vec<u8> {
    let request = GraphqlRequest { query: Some(DOCUMENT.to_owned()), ..GraphqlRequest::default() };
    let operation = engine.prepare(&request).map_err(|rejection| json!(rejection.errors)).unwrap();
    engine.execute(operation, Data::default()).await.to_json()
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let (plain, resolved, edges) = (engine(true), engine(false), edges());
    assert_eq!(respond(&plain).await, respond(&resolved).await);
    assert_eq!(respond(&plain).await, by_hand(&edges));
    let mut times: [Vec<Duration>; 3] = Default::default();
    for _ in 0..TURNS {
        for (kind, times) in times.iter_mut().enumerate() {
            let begun = Instant::now();
            for _ in 0..RUNS_PER_TURN {
                black_box(match kind {
                    0 => respond(&plain).await,
                    1 => respond(&resolved).await,
                    _ => by_hand(&edges),
                });
            }
            times.push(begun.elapsed() / RUNS_PER_TURN);
        }
    }
    for (name, mut times) in ["written at once", "resolved", "serde, without GraphQL"].into_iter().zip(times)
    {
        times.sort_unstable();
        println!("{:>10.1} µs  {name}", times[TURNS / 2].as_secs_f64() * 1e6);
    }
}
