//! The outbox: messages for other systems, delivered after the transaction that caused them is committed.
//!
//! A message is a row, written in the transaction that caused it. So a message exists exactly if this transaction was
//! committed. A worker on each node claims rows with a lease and hands them to their channel. If a node dies, its
//! leases end and another node delivers the messages. So a message can be delivered more than once, always with the
//! same id. A message that cannot be delivered is given up after [`MAX_ATTEMPTS`] deliveries, or when it expires.
//!
//! The content is encrypted with a key that is derived from the signing keys, and is erased after the delivery. So
//! neither the database nor a backup reveals an address or a link of a message.

mod backlog;
mod lease;
mod operator;
mod retention;
mod worker;

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use jishu_entity::UserId;
use jishu_entity::outbox_message::{self, OutboxChannel, OutboxState};
use sea_orm::{ActiveModelTrait, ActiveValue::NotSet, ActiveValue::Set, DatabaseTransaction, DbErr};
use tokio::sync::Notify;
use uuid::Uuid;

pub use backlog::{keep_measuring, measure_backlog};
pub use operator::{OutboxEntry, is_stuck, list, retry};
pub use retention::erase_old;
pub use worker::keep_delivering;

use crate::auth::Secrets;
use crate::error::Fault;

/// The number of failed deliveries after which a message is dead. The pauses between them add up to 1.5 to 3 hours.
pub const MAX_ATTEMPTS: i32 = 10;

/// The purpose of the keys that encrypt payloads.
const PAYLOAD_PURPOSE: &str = "payload of an outbox message";

/// The length of a lease, in multiples of the maximum time of a delivery. So a lease ends before its delivery only if
/// the node is dead or stuck.
const LEASE_FACTOR: u32 = 3;

/// The outbox of one node.
#[derive(Debug)]
pub struct Outbox {
    /// The id of this node in leases, which is new at each start of the server.
    owner: String,
    /// The maximum time of one delivery.
    delivery_timeout: Duration,
    /// Wakes the worker of this node, so that it searches for messages at once.
    appended: Notify,
}

impl Outbox {
    /// Makes the outbox of this node. A delivery that takes longer than `delivery_timeout` is stopped, and retried
    /// after a pause.
    #[must_use]
    pub fn new(delivery_timeout: Duration) -> Self {
        Self { owner: Uuid::new_v4().to_string(), delivery_timeout, appended: Notify::new() }
    }

    /// Wakes the worker of this node, because a message was committed.
    pub fn wake(&self) {
        self.appended.notify_one();
    }

    /// Returns how long a lease lasts.
    fn lease(&self) -> TimeDelta {
        TimeDelta::from_std(self.delivery_timeout * LEASE_FACTOR).unwrap_or(TimeDelta::minutes(10))
    }
}

/// An encrypted message, to be written to the outbox.
#[derive(Clone, Debug)]
pub struct NewMessage {
    message_id: String,
    channel: OutboxChannel,
    kind: &'static str,
    payload: String,
    created_at: DateTime<Utc>,
    /// The time from which a node may deliver the message for the first time.
    due_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
}

impl NewMessage {
    /// Encrypts a message of a channel and kind. It is due at once. From `expires_at` on, nobody needs the message: if
    /// it was not delivered, it is given up and its content is erased.
    ///
    /// # Errors
    /// Fails if the cryptography library fails.
    pub fn seal(
        secrets: &Secrets,
        (channel, kind): (OutboxChannel, &'static str),
        payload: &str,
        created_at: DateTime<Utc>,
        expires_at: DateTime<Utc>,
    ) -> Result<Self, Fault> {
        let message_id = Uuid::new_v4().to_string();
        let payload = secrets
            .seal(PAYLOAD_PURPOSE, &message_id, payload)
            .map_err(|error| Fault::Inconsistent(format!("a message cannot be encrypted: {error}")))?;
        Ok(Self { message_id, channel, kind, payload, created_at, due_at: created_at, expires_at })
    }

    /// Sets the time from which the message may be delivered.
    pub(crate) fn due_at(self, due_at: DateTime<Utc>) -> Self {
        Self { due_at, ..self }
    }

    /// Returns the id of the message, which is the same in each delivery.
    pub(crate) fn id(&self) -> &str {
        &self.message_id
    }

    /// Writes the message in the transaction that causes it. `user` is the person whom the message concerns. Call
    /// [`Outbox::wake`] after the commit.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn append(&self, transaction: &DatabaseTransaction, user: Option<UserId>) -> Result<(), DbErr> {
        let row = outbox_message::ActiveModel {
            id: NotSet,
            message_id: Set(self.message_id.clone()),
            channel: Set(self.channel),
            kind: Set(self.kind.to_owned()),
            user_id: Set(user),
            payload: Set(Some(self.payload.clone())),
            state: Set(OutboxState::Pending),
            attempts: Set(0),
            due_at: Set(self.due_at),
            lease_owner: Set(None),
            last_error: Set(None),
            created_at: Set(self.created_at),
            expires_at: Set(self.expires_at),
            sent_at: Set(None),
        };
        row.insert(transaction).await?;
        Ok(())
    }
}

/// A message that a channel delivers.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The id of the message for the receiver. It is the same when the delivery is repeated.
    pub message_id: String,
    /// The kind of the message in its channel, such as `verify_email`.
    pub kind: String,
    /// The decrypted content.
    pub payload: String,
    /// The time of the transaction that caused the message.
    pub created_at: DateTime<Utc>,
}

/// A failed delivery. Its reason is stored and logged, so it must contain no personal data.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct DeliveryFailure {
    /// The reason, for the operator.
    pub reason: String,
    /// Whether each further attempt would fail too. Then the message is dead at once.
    pub is_final: bool,
}

impl DeliveryFailure {
    /// Makes a failure after which another attempt may succeed.
    pub fn passing(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), is_final: false }
    }

    /// Makes a failure that would happen again in each attempt.
    pub fn lasting(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), is_final: true }
    }
}

/// The code that delivers the messages of one channel.
#[async_trait]
pub trait Channel: Send + Sync + 'static {
    /// Delivers a message, which may have been delivered before.
    ///
    /// # Errors
    /// See [`DeliveryFailure`].
    async fn deliver(&self, message: &Delivery) -> Result<(), DeliveryFailure>;
}
