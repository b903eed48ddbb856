//! Mutations that record when they run. The record shows a field that runs twice or too early.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_graphql::{Context, Error, Object, Result};

/// The resolvers that have run in this request, in order.
#[derive(Default)]
pub(crate) struct Written(Mutex<Vec<String>>);

impl Written {
    fn write(&self, text: &str) -> Vec<String> {
        let mut written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        written.push(text.to_owned());
        written.clone()
    }
}

pub(crate) struct Mutation;

#[Object]
impl Mutation {
    /// Writes `text`.
    async fn write(&self, ctx: &Context<'_>, text: String) -> Result<Page> {
        Ok(Page { written: ctx.data::<Written>()?.write(&text) })
    }
    /// Waits before it writes. The next field of the mutation must not run before it.
    async fn write_slowly(&self, ctx: &Context<'_>, text: String) -> Result<Page> {
        tokio::time::sleep(Duration::from_millis(5)).await;
        Ok(Page { written: ctx.data::<Written>()?.write(&text) })
    }
    /// Writes and fails.
    async fn fail(&self, ctx: &Context<'_>, text: String) -> Option<Result<Page>> {
        Some(write_and_fail(ctx, &text))
    }
    /// Writes and fails. The field is non-null.
    async fn fail_required(&self, ctx: &Context<'_>, text: String) -> Result<Page> {
        write_and_fail(ctx, &text)
    }
}

fn write_and_fail(ctx: &Context<'_>, text: &str) -> Result<Page> {
    ctx.data::<Written>()?.write(text);
    Err(Error::new(format!("{text} failed")))
}

/// Everything that was written up to the end of this field.
struct Page {
    written: Vec<String>,
}

#[Object]
impl Page {
    async fn written(&self) -> &[String] {
        &self.written
    }
    async fn count(&self) -> usize {
        self.written.len()
    }
    async fn first(&self) -> Option<&str> {
        self.written.first().map(String::as_str)
    }
}
