//! The outbox: messages that the server must deliver to other systems. Each message is written in the transaction that
//! caused it.

use sea_orm::entity::prelude::*;

use crate::{OutboxMessageId, UserId};

/// The way in which a message leaves the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(16))")]
pub enum OutboxChannel {
    /// The message is a mail to a person.
    #[sea_orm(string_value = "mail")]
    Mail,
    /// The message is a call to a payment provider.
    #[sea_orm(string_value = "payment")]
    Payment,
}

/// The state of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(16))")]
pub enum OutboxState {
    /// The message waits until a node delivers it.
    #[sea_orm(string_value = "pending")]
    Pending,
    /// A node has the lease of the message, and delivers it.
    #[sea_orm(string_value = "leased")]
    Leased,
    /// The message was delivered.
    #[sea_orm(string_value = "sent")]
    Sent,
    /// The message was not delivered, and no node tries to deliver it any more.
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
    /// The id of the message for its receiver: a canonical UUID. The id stays the same when a delivery is repeated.
    #[sea_orm(unique)]
    pub message_id: String,
    /// The way in which the message leaves the server: as a mail, or as a call to a payment provider.
    pub channel: OutboxChannel,
    /// The kind of the message in its channel, such as `verify_email`.
    pub kind: String,
    /// The person whom the message concerns. Null if it concerns no person.
    pub user_id: Option<UserId>,
    /// The encrypted content. Null after the message was delivered or has expired.
    pub payload: Option<String>,
    /// The state of the message.
    pub state: OutboxState,
    /// The number of deliveries that were started. `jishu outbox retry` sets the number to 0.
    pub attempts: i32,
    /// The time from which a node may claim the message: the time of the next delivery, or the end of the lease.
    /// Without meaning after the message was sent or is dead.
    pub due_at: DateTimeUtc,
    /// The node that has the lease: a canonical UUID, which a node makes when it starts. Null without a lease.
    pub lease_owner: Option<String>,
    /// The reason why the latest delivery failed, or why the message was given up, without personal data. Null if
    /// nothing failed, and after the message was delivered.
    pub last_error: Option<String>,
    /// The time when the message was written.
    pub created_at: DateTimeUtc,
    /// The time from which the message is no longer useful, so that it is not delivered any more.
    pub expires_at: DateTimeUtc,
    /// The time when the message was delivered. Null until then.
    pub sent_at: Option<DateTimeUtc>,
}

impl ActiveModelBehavior for ActiveModel {}
