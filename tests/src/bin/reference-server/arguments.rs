//! Fields that return their arguments as the resolver gets them. A nullable argument that the document leaves out, and
//! that has no default, is missing from the result.

use MaybeUndefined::Undefined;
use async_graphql::{
    Enum, InputObject, InputType, InputValueError, InputValueResult, Json, MaybeUndefined, Name, Object,
    Scalar, ScalarType, Value,
};

#[derive(Enum, Clone, Copy, PartialEq, Eq)]
enum Color {
    Red,
    Green,
    #[graphql(deprecation = "Not a colour that dogs see.")]
    Blue,
}

/// A day like "2026-11-24".
pub(crate) struct Day(String);

#[Scalar]
impl ScalarType for Day {
    fn parse(value: Value) -> InputValueResult<Self> {
        match value {
            Value::String(text) if is_day(&text) => Ok(Self(text)),
            value => Err(InputValueError::custom(format!("{value} is not a day"))),
        }
    }

    fn is_valid(value: &Value) -> bool {
        matches!(value, Value::String(text) if is_day(text))
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.clone())
    }
}

/// Returns whether a text has digits and hyphens in the places of "2026-11-24". `tests/clients/comparison` needs no
/// stricter check of a day.
fn is_day(text: &str) -> bool {
    text.len() == 10
        && text
            .bytes()
            .enumerate()
            .all(|(at, byte)| if [4, 7].contains(&at) { byte == b'-' } else { byte.is_ascii_digit() })
}

#[derive(InputObject)]
struct PointInput {
    x: i32,
    #[graphql(default)]
    y: i32,
    label: MaybeUndefined<String>,
    #[graphql(default_with = "vec![\"none\".to_owned()]")]
    tags: Vec<String>,
    #[graphql(default_with = "Some(Color::Red)")]
    color: Option<Color>,
    #[graphql(default = 1.5)]
    scale: f64,
    id: MaybeUndefined<async_graphql::ID>,
    day: MaybeUndefined<Day>,
    path: MaybeUndefined<Vec<StepInput>>,
}

#[derive(InputObject)]
struct StepInput {
    by: i32,
    then: MaybeUndefined<Box<StepInput>>,
}

impl PointInput {
    fn echo(&self) -> Value {
        object([
            ("x", value(&self.x)),
            ("y", value(&self.y)),
            ("label", given(&self.label)),
            ("tags", value(&self.tags)),
            ("color", value(&self.color)),
            ("scale", value(&self.scale)),
            ("id", given(&self.id)),
            ("day", given(&self.day)),
            (
                "path",
                match &self.path {
                    MaybeUndefined::Value(steps) => {
                        Some(Value::List(steps.iter().map(StepInput::echo).collect()))
                    }
                    other => given(other),
                },
            ),
        ])
    }
}

impl StepInput {
    fn echo(&self) -> Value {
        let then = match &self.then {
            MaybeUndefined::Value(step) => Some(step.echo()),
            other => given(other),
        };
        object([("by", value(&self.by)), ("then", then)])
    }
}

fn value<T: InputType>(value: &T) -> Option<Value> {
    Some(InputType::to_value(value))
}

fn given<T: InputType>(value: &MaybeUndefined<T>) -> Option<Value> {
    if let Undefined = value { None } else { self::value(value) }
}

fn object<const N: usize>(fields: [(&str, Option<Value>); N]) -> Value {
    Value::Object(fields.into_iter().filter_map(|(name, value)| Some((Name::new(name), value?))).collect())
}

type Echo = Json<Value>;

fn echo<T: InputType>(value: &T) -> Echo {
    Json(object([("value", self::value(value))]))
}

fn echo_given<T: InputType>(value: &MaybeUndefined<T>) -> Echo {
    Json(object([("value", given(value))]))
}

#[derive(Default)]
pub(crate) struct Arguments;

#[Object]
impl Arguments {
    async fn int(&self, value: MaybeUndefined<i32>) -> Echo {
        echo_given(&value)
    }
    async fn int_required(&self, value: i32) -> Echo {
        echo(&value)
    }
    async fn int_default(&self, #[graphql(default_with = "Some(7)")] value: Option<i32>) -> Echo {
        echo(&value)
    }
    async fn int_required_default(&self, #[graphql(default = 7)] value: i32) -> Echo {
        echo(&value)
    }
    async fn float(&self, value: MaybeUndefined<f64>) -> Echo {
        echo_given(&value)
    }
    async fn string(&self, value: MaybeUndefined<String>) -> Echo {
        echo_given(&value)
    }
    async fn boolean(&self, value: MaybeUndefined<bool>) -> Echo {
        echo_given(&value)
    }
    async fn id(&self, value: MaybeUndefined<async_graphql::ID>) -> Echo {
        echo_given(&value)
    }
    async fn day(&self, value: MaybeUndefined<Day>) -> Echo {
        echo_given(&value)
    }
    async fn color(&self, value: MaybeUndefined<Color>) -> Echo {
        echo_given(&value)
    }
    async fn color_default(&self, #[graphql(default_with = "Color::Green")] value: Color) -> Echo {
        echo(&value)
    }
    async fn ints(&self, value: MaybeUndefined<Vec<Option<i32>>>) -> Echo {
        echo_given(&value)
    }
    async fn ints_strict(&self, value: Vec<i32>) -> Echo {
        echo(&value)
    }
    async fn ints_of_required(&self, value: MaybeUndefined<Vec<i32>>) -> Echo {
        echo_given(&value)
    }
    async fn matrix(&self, value: MaybeUndefined<Vec<Option<Vec<Option<i32>>>>>) -> Echo {
        echo_given(&value)
    }
    async fn ids(&self, value: MaybeUndefined<Vec<async_graphql::ID>>) -> Echo {
        echo_given(&value)
    }
    async fn point(&self, value: MaybeUndefined<PointInput>) -> Echo {
        let value = match &value {
            MaybeUndefined::Value(point) => Some(point.echo()),
            other => given(other),
        };
        Json(object([("value", value)]))
    }
    async fn points(&self, value: Vec<PointInput>) -> Echo {
        let points = Value::List(value.iter().map(PointInput::echo).collect());
        Json(object([("value", Some(points))]))
    }
    async fn several(&self, a: i32, b: MaybeUndefined<String>, #[graphql(default = true)] c: bool) -> Echo {
        Json(object([("a", value(&a)), ("b", given(&b)), ("c", value(&c))]))
    }
}
