//! Pages of subjects, from the catalogue in memory.

use std::sync::Arc;

use async_graphql::{Context, Object};
use jishu_entity::subject;

use super::Subject;
use crate::graphql::error::ApiResult;
use crate::graphql::pagination::{Connection, ListNode, PageArgs, connect, slice};

/// The number of items in a list in memory, as the field `totalCount` of a connection.
pub(in crate::graphql) struct ItemCount {
    items: usize,
}

impl ItemCount {
    pub(super) fn of<T>(items: &[T]) -> Self {
        Self { items: items.len() }
    }
}

#[Object]
impl ItemCount {
    /// The number of items on all pages of this list together.
    async fn total_count(&self) -> usize {
        self.items
    }
}

impl ListNode for Subject {
    const NAME: &'static str = "Subject";
}

pub(in crate::graphql) type SubjectConnection = Connection<Subject, ItemCount>;

/// Makes a page of these subjects of a course, in their order.
pub(super) fn subjects_of<'a>(
    ctx: &Context<'_>,
    args: PageArgs,
    subjects: impl Iterator<Item = &'a Arc<subject::Model>>,
) -> ApiResult<SubjectConnection> {
    let request = args.request(ctx, "Subject")?;
    let rows: Vec<_> = subjects.cloned().collect();
    let total = ItemCount::of(&rows);
    Ok(connect("Subject", slice(&rows, |row| row.id.0, request), |row| row.id.0, Subject::new, total))
}
