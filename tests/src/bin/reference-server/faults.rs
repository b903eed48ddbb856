//! Fields whose resolvers can fail. They cover nullable and non-null fields, lists and items.
//!
//! A nullable field that can fail is an `Option<Result<T>>`. With `Result<Option<T>>`, async-graphql would set the
//! parent to null.

use async_graphql::{Error, Object, Result};

fn fault<T>(message: &str) -> Result<T> {
    Err(Error::new(message))
}

/// Returns 1, a failure and 3.
fn numbers() -> [Result<i32>; 3] {
    [Ok(1), fault("the second number failed"), Ok(3)]
}

fn nullable_numbers() -> Vec<Option<Result<i32>>> {
    let [first, second, third] = numbers();
    vec![Some(first), Some(second), None, Some(third)]
}

#[derive(Default)]
pub(crate) struct Faulty;

#[Object]
impl Faulty {
    async fn faults(&self) -> Option<Faults> {
        Some(Faults)
    }
    async fn faults_required(&self) -> Faults {
        Faults
    }
}

pub(crate) struct Faults;

#[Object]
impl Faults {
    async fn ok(&self) -> i32 {
        1
    }
    async fn nothing(&self) -> Option<i32> {
        None
    }
    async fn nullable(&self, #[graphql(default = "nullable failed")] message: String) -> Option<Result<i32>> {
        Some(fault(&message))
    }
    async fn required(&self) -> Result<i32> {
        fault("required failed")
    }
    async fn object(&self) -> Option<Result<Faults>> {
        Some(fault("object failed"))
    }
    async fn object_required(&self) -> Result<Faults> {
        fault("objectRequired failed")
    }
    async fn child(&self) -> Option<Faults> {
        Some(Faults)
    }
    async fn child_required(&self) -> Faults {
        Faults
    }
    async fn children(&self) -> Option<Vec<Option<Faults>>> {
        Some(vec![Some(Faults), None, Some(Faults)])
    }
    async fn children_of_required(&self) -> Option<Vec<Faults>> {
        Some(vec![Faults, Faults])
    }
    async fn children_required(&self) -> Vec<Faults> {
        vec![Faults, Faults]
    }
    async fn numbers(&self) -> Option<Vec<Option<Result<i32>>>> {
        Some(nullable_numbers())
    }
    async fn numbers_of_required(&self) -> Option<Vec<Result<i32>>> {
        Some(numbers().into())
    }
    async fn numbers_in_required(&self) -> Vec<Option<Result<i32>>> {
        nullable_numbers()
    }
    async fn numbers_required(&self) -> Vec<Result<i32>> {
        numbers().into()
    }
    async fn matrix(&self) -> Option<Vec<Option<Vec<Result<i32>>>>> {
        Some(vec![Some(vec![Ok(0)]), Some(numbers().into())])
    }
}
