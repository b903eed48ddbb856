//! The outbox: messages to deliver to other systems. Each row is written in the transaction that caused the message.

use sea_orm::entity::prelude::*;

use crate::{OutboxMessageId, UserId};

/// The way in which a message leaves the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(16))")]
pub enum OutboxChannel {
    /// A mail to a person.
    #[sea_orm(string_value = "mail")]
    Mail,
    /// A call to a payment provider.
    #[sea_orm(string_value = "payment")]
    Payment,
}

/// The state of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(16))")]
pub enum OutboxState {
    /// Waits for a node that delivers it.
    #[sea_orm(string_value = "pending")]
    Pending,
    /// A node holds the lease and delivers it.
    #[sea_orm(string_value = "leased")]
    Leased,
    /// The message was delivered.
    #[sea_orm(string_value = "sent")]
    Sent,
    /// The message was not delivered, and no node tries any more.
    #[sea_orm(string_value = "dead")]
    Dead,
}

/// A row of `outbox`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "outbox")]
pub struct Model {
    /// Primary key.
    #[sea_orm(primary_key)]
    pub id: OutboxMessageId,
    /// The id of the message for its receiver. It stays the same when a delivery is repeated. A canonical UUID.
    #[sea_orm(unique)]
    pub message_id: String,
    /// The way in which the message leaves the server.
    pub channel: OutboxChannel,
    /// The kind of the message in its channel, such as `verify_email`.
    pub kind: String,
    /// The person whom the message concerns. Null if it concerns nobody.
    pub user_id: Option<UserId>,
    /// The encrypted content. Null after the message was delivered or has expired.
    pub payload: Option<String>,
    /// The state.
    pub state: OutboxState,
    /// The number of deliveries that began.
    pub attempts: i32,
    /// The time from which a node may claim the message: the next attempt, or the end of the lease.
    pub due_at: DateTimeUtc,
    /// The node that holds the lease. A canonical UUID, which a node makes when it starts.
    pub lease_owner: Option<String>,
    /// The reason why the latest delivery failed. It contains no personal data.
    pub last_error: Option<String>,
    /// The time of the transaction that caused the message.
    pub created_at: DateTimeUtc,
    /// The time from which nobody needs the message any more.
    pub expires_at: DateTimeUtc,
    /// The time when the message was delivered.
    pub sent_at: Option<DateTimeUtc>,
}

impl ActiveModelBehavior for ActiveModel {}
