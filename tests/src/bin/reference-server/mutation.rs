//! Mutations that record the texts that they write. The record shows if a field runs twice or too early.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_graphql::{Context, Error, Object, Result};

/// The texts that the mutations of one request have written so far, in the order of writing.
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
    /// Writes `text` to the record of the request.
    async fn write(&self, ctx: &Context<'_>, text: String) -> Result<Page> {
        Ok(Page { written: ctx.data::<Written>()?.write(&text) })
    }
    /// Waits 5 milliseconds, then writes `text` to the record. The next field of the mutation must run only after this
    /// write.
    async fn write_slowly(&self, ctx: &Context<'_>, text: String) -> Result<Page> {
        tokio::time::sleep(Duration::from_millis(5)).await;
        Ok(Page { written: ctx.data::<Written>()?.write(&text) })
    }
    /// Writes `text` to the record of the request, then fails. The field is nullable.
    async fn fail(&self, ctx: &Context<'_>, text: String) -> Option<Result<Page>> {
        Some(write_and_fail(ctx, &text))
    }
    /// Writes `text` to the record of the request, then fails. The field is non-null.
    async fn fail_required(&self, ctx: &Context<'_>, text: String) -> Result<Page> {
        write_and_fail(ctx, &text)
    }
}

fn write_and_fail(ctx: &Context<'_>, text: &str) -> Result<Page> {
    ctx.data::<Written>()?.write(text);
    Err(Error::new(format!("{text} failed")))
}

/// The texts that the request had written when the resolver of this field returned.
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
