//! Appends audit events. An audit event records who did what. The audit event of a change is appended in the
//! transaction of the change.
//!
//! The audit trail is append-only. So an event must not contain a secret or personal data, such as an e-mail address,
//! because nothing could erase it together with the account. The only exception is the reason of a decision about an
//! order, which support types. The deletion of the buyer's account replaces this reason.

use chrono::{DateTime, Utc};
use jishu_entity::{UserId, audit_event};
use sea_orm::{ActiveValue::NotSet, ActiveValue::Set, ConnectionTrait, DbErr, EntityTrait};
use serde_json::{Map, Value};

use crate::database::{Cell, InsertStatement, cells};

/// The values that an action changed, before and after the action. Values that stayed the same are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct StateChange {
    before: Map<String, Value>,
    after: Map<String, Value>,
}

impl StateChange {
    /// Makes the change between two JSON objects with the same fields, such as the row of a course before and after an
    /// edit.
    pub(super) fn between(before: Value, after: Value) -> Self {
        let (mut before, mut after) = (object(before), object(after));
        before.retain(|field, value| after.get(field) != Some(value));
        after.retain(|field, _| before.contains_key(field));
        Self { before, after }
    }

    /// Makes the change that records the values of a new object.
    pub(super) fn created(after: Value) -> Self {
        Self { before: Map::new(), after: object(after) }
    }

    /// Returns the changed fields, each with its value before and after. None means that the object had no such field.
    /// Leaves out fields that have a value neither before nor after.
    pub(super) fn values(&self) -> impl Iterator<Item = (&str, Option<&Value>, Option<&Value>)> {
        let known = |value: Option<&'_ Value>| value.is_some_and(|value| !value.is_null());
        let all =
            self.after.iter().map(|(field, after)| (field.as_str(), self.before.get(field), Some(after)));
        all.filter(move |(_, before, after)| known(*before) || known(*after))
    }

    /// Returns true if no value changed.
    pub(super) fn is_empty(&self) -> bool {
        self.before.is_empty() && self.after.is_empty()
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

/// Returns the fields as JSON text to store, or None if there are no fields.
fn text(fields: &Map<String, Value>) -> Option<String> {
    (!fields.is_empty()).then(|| Value::Object(fields.clone()).to_string())
}

/// Appends an audit event. The actor is None if the server, a guardian or an operator on the command line acted. The
/// target is the name of a table and the id of a row in it.
///
/// # Errors
/// Returns the database's error.
pub(super) async fn append(
    connection: &impl ConnectionTrait,
    at: DateTime<Utc>,
    actor: Option<UserId>,
    action: &str,
    target: (&str, i64),
) -> Result<(), DbErr> {
    append_change(connection, at, actor, action, target, &StateChange::default()).await
}

/// Appends an audit event with the values that the action changed. See [`append`].
///
/// # Errors
/// Returns the database's error.
pub(super) async fn append_change(
    connection: &impl ConnectionTrait,
    at: DateTime<Utc>,
    actor: Option<UserId>,
    action: &str,
    target: (&str, i64),
    change: &StateChange,
) -> Result<(), DbErr> {
    let EventRow(row) = EventRow::new(at, actor, action, target, change);
    audit_event::Entity::insert(row).exec_without_returning(connection).await?;
    Ok(())
}

/// The row of an audit event that is not inserted yet.
#[derive(Debug)]
pub(super) struct EventRow(audit_event::ActiveModel);

impl EventRow {
    /// Makes the row of an audit event. See [`append_change`].
    pub(super) fn new(
        at: DateTime<Utc>,
        actor: Option<UserId>,
        action: &str,
        (target_type, target_id): (&str, i64),
        change: &StateChange,
    ) -> Self {
        Self(audit_event::ActiveModel {
            id: NotSet,
            at: Set(at),
            actor_id: Set(actor),
            action: Set(action.to_owned()),
            target_type: Set(target_type.to_owned()),
            target_id: Set(target_id),
            state_before: Set(text(&change.before)),
            state_after: Set(text(&change.after)),
        })
    }

    /// Adds the audit event to a statement that also inserts the event's target. `target_id` is the id of the target,
    /// as SQL.
    pub(super) fn insert_into(self, statement: InsertStatement, target_id: &'static str) -> InsertStatement {
        let row = audit_event::ActiveModel { target_id: NotSet, ..self.0 };
        let target_id = [(audit_event::Column::TargetId, Cell::Sql(target_id))];
        statement.insert::<audit_event::Entity>(cells(row).chain(target_id))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_change_holds_only_the_fields_that_differ() {
        let change = StateChange::between(
            json!({"name": "NEET", "price": 10, "code": null}),
            json!({"name": "NEET", "price": 12, "code": "neet"}),
        );
        assert_eq!(text(&change.before).as_deref(), Some(r#"{"code":null,"price":10}"#));
        assert_eq!(text(&change.after).as_deref(), Some(r#"{"code":"neet","price":12}"#));
        assert!(StateChange::between(json!({"a": 1}), json!({"a": 1})).is_empty());
    }
}
