//! Changes one order in a transaction: moves it, records its facts, writes mails, and appends its audit events at the
//! end.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use jishu_entity::order::{self, OrderReason, OrderState};
use jishu_entity::payment_event::{self, PaymentEventKind, PaymentEventSource};
use jishu_entity::refund::RefundStatus;
use jishu_entity::user::{self, UserStatus};
use jishu_entity::{OrderId, PurchaseId, UserId, payment_refund};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveEnum, ActiveModelTrait, ActiveValue::NotSet, ActiveValue::Set, ColumnTrait, DatabaseTransaction,
    DbErr, EntityTrait, PaginatorTrait, QueryFilter, QuerySelect,
};
use serde_json::json;

use super::state::{may_move, next_check};
use crate::Services;
use crate::audit::StateChange;
use crate::auth::Secrets;
use crate::clock::Clock;
use crate::database::lock_user;
use crate::error::Fault;
use crate::events::{self, Event, OrderEvent};
use crate::failpoint;
use crate::mail::{self, MailKind};
use crate::paper::Papers;
use crate::tax::TaxPolicy;

/// The parts of the services that transactions of orders need besides the database.
#[derive(Clone)]
pub(crate) struct OrderTools {
    pub(super) secrets: Arc<Secrets>,
    pub(super) papers: Arc<Papers>,
    pub(super) tax: Arc<TaxPolicy>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) support_address: Option<String>,
}

impl OrderTools {
    /// Takes the tools for orders from the services.
    pub(crate) fn of(services: &Services) -> Self {
        Self {
            secrets: Arc::clone(&services.secrets),
            papers: Arc::clone(&services.papers),
            tax: Arc::clone(&services.tax),
            clock: Arc::clone(&services.clock),
            support_address: services.payments.as_ref().and_then(|payments| payments.support_address.clone()),
        }
    }
}

impl OrderTools {
    /// Returns the current time. Call this function after the buyer's row is locked, so that times have the order of
    /// the transactions.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }
}

/// The source of a change of an order, and the user who makes it.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    /// The source that reported the recorded facts.
    pub(super) source: PaymentEventSource,
    /// The provider's id of the webhook. None if the report came in another way.
    pub(super) event_id: Option<String>,
    /// The member of support or the buyer who acts. None if the server acts by itself.
    pub(super) by: Option<UserId>,
}

impl Origin {
    /// Returns the origin of a change that the server makes by itself.
    pub(crate) fn server() -> Self {
        Self { source: PaymentEventSource::Server, event_id: None, by: None }
    }

    /// Returns the origin of a change that a member of support makes.
    pub(crate) fn staff(by: UserId) -> Self {
        Self { source: PaymentEventSource::Staff, event_id: None, by: Some(by) }
    }
}

/// An order that a transaction changes. The transaction has locked the row of the buyer.
pub(crate) struct OrderWork<'t> {
    pub(super) transaction: &'t DatabaseTransaction,
    pub(super) tools: &'t OrderTools,
    pub(super) order: order::Model,
    pub(super) origin: Origin,
    pub(super) now: DateTime<Utc>,
    /// The status of the buyer's account. A deleted account counts as deactivated. [`OrderWork::of_purchase`] does not
    /// read the status, and sets it to active.
    pub(super) buyer: UserStatus,
    /// The audit events that [`OrderWork::finish`] appends. Watchers require that events are appended as late as
    /// possible in a transaction.
    journal: Vec<(OrderEvent, StateChange)>,
}

/// A fact about the money of an order. It is stored as a payment event.
pub(super) struct Fact<'a> {
    pub(super) kind: PaymentEventKind,
    /// The name of the fact. Together with the kind, it is unique for the provider.
    pub(super) name: String,
    pub(super) payment: Option<&'a str>,
    pub(super) object: Option<&'a str>,
    pub(super) reference: Option<&'a str>,
    pub(super) money: Option<(i64, &'a str)>,
}

/// Returns the text under which a payment event stores a fact, such as `captured:pay_1`.
pub(crate) fn fact_name(kind: PaymentEventKind, name: &str) -> String {
    format!("{}:{name}", kind.to_value())
}

/// Maximum number of characters in the reference of a payment event. A longer reference is cut.
const MAX_REFERENCE_CHARS: usize = 64;

/// Returns the beginning of a reference that fits into its column. A provider may report any text as a reference.
pub(super) fn stored_reference(reference: Option<&str>) -> Option<String> {
    reference.map(|text| text.chars().take(MAX_REFERENCE_CHARS).collect())
}

impl<'t> OrderWork<'t> {
    /// Locks the buyer's row and reads the order. `buyer` is the user who owns the order.
    pub(super) async fn open(
        transaction: &'t DatabaseTransaction,
        tools: &'t OrderTools,
        (id, buyer): (OrderId, UserId),
        origin: Origin,
    ) -> Result<Self, Fault> {
        let status = lock_user(transaction, buyer).await?;
        // A deleted account has no status. Reports about the money of its orders are still recorded.
        let status = status.unwrap_or(UserStatus::Deactivated);
        failpoint::boundary("order.locked");
        let order = order::Entity::of(buyer).filter(order::Column::Id.eq(id)).one(transaction).await?;
        let order = order.ok_or_else(|| Fault::missing(format_args!("order {id}")))?;
        // The clock is read after the lock, so that the times of events have the order of their transactions.
        Ok(Self::of_locked(transaction, tools, (order, status), origin, tools.clock.now()))
    }

    /// Makes an [`OrderWork`] for an order whose buyer's row the transaction has already locked.
    pub(super) fn of_locked(
        transaction: &'t DatabaseTransaction,
        tools: &'t OrderTools,
        (order, buyer): (order::Model, UserStatus),
        origin: Origin,
        now: DateTime<Utc>,
    ) -> Self {
        Self { transaction, tools, order, origin, now, buyer, journal: Vec::new() }
    }

    /// Finds the order that made a purchase. Returns None if no order made it. The caller must have locked the buyer's
    /// row.
    pub(crate) async fn of_purchase(
        transaction: &'t DatabaseTransaction,
        tools: &'t OrderTools,
        purchase: PurchaseId,
        origin: Origin,
        now: DateTime<Utc>,
    ) -> Result<Option<Self>, DbErr> {
        let order = order::Entity::find().filter(order::Column::PurchaseId.eq(purchase));
        let order = order.one(transaction).await?;
        // A refund does not depend on the status of the account, so the status is not read.
        Ok(order.map(|order| Self::of_locked(transaction, tools, (order, UserStatus::Active), origin, now)))
    }

    /// Tells whether the buyer's bank disputes the payment of the order.
    pub(crate) fn is_disputed(&self) -> bool {
        self.order.disputed_at.is_some()
    }

    /// Moves the order to another state, plans its next check, and adds an audit event. Notifies support if the new
    /// state is `NeedsAttention`. Fails if [`may_move`] forbids the move, or if another transaction has changed the
    /// state.
    pub(super) async fn move_to(&mut self, to: OrderState, reason: Option<OrderReason>) -> Result<(), Fault> {
        let (id, from) = (self.order.id, self.order.state);
        if !may_move(from, to) {
            return Err(Fault::Inconsistent(format!("order {id} cannot move from {from:?} to {to:?}")));
        }
        let before = state_of(&self.order);
        (self.order.state, self.order.reason, self.order.changed_at) = (to, reason, self.now);
        self.order.checks = 0;
        self.order.due_at = next_check(&self.order, 0, self.has_open_refunds().await?, self.now);
        if to == OrderState::Paid && self.order.paid_at.is_none() {
            self.order.paid_at = Some(self.now);
        }
        let moved = order::Entity::update_many()
            .col_expr(order::Column::State, Expr::value(to))
            .col_expr(order::Column::Reason, Expr::value(reason))
            .col_expr(order::Column::ChangedAt, Expr::value(self.now))
            .col_expr(order::Column::Checks, Expr::value(0))
            .col_expr(order::Column::DueAt, Expr::value(self.order.due_at))
            .col_expr(order::Column::PaidAt, Expr::value(self.order.paid_at))
            .filter(order::Column::Id.eq(id))
            .filter(order::Column::State.eq(from))
            .exec(self.transaction)
            .await?;
        if moved.rows_affected != 1 {
            return Err(Fault::Inconsistent(format!("order {id} left the state {from:?} meanwhile")));
        }
        failpoint::boundary("order.moved");
        let change = StateChange::between(before, state_of(&self.order));
        self.journal.push((OrderEvent::of_state(to), change));
        if to == OrderState::NeedsAttention {
            self.tell_support("an order needs attention").await?;
        }
        Ok(())
    }

    /// Moves the order to `NeedsAttention`, through the states between. A granted or refunded order passes through
    /// `Refunding`. A pending, expired or cancelled order passes through `Paid`. Does nothing if the order needs
    /// attention already.
    pub(super) async fn need_attention(&mut self, reason: OrderReason) -> Result<(), Fault> {
        match self.order.state {
            OrderState::NeedsAttention => return Ok(()),
            OrderState::Granted | OrderState::Refunded => {
                self.move_to(OrderState::Refunding, Some(reason)).await?;
            }
            OrderState::Pending | OrderState::Expired | OrderState::Cancelled => {
                self.move_to(OrderState::Paid, Some(reason)).await?;
            }
            OrderState::Paid | OrderState::Refunding => {}
        }
        self.move_to(OrderState::NeedsAttention, Some(reason)).await
    }

    /// Writes columns of the order other than its state.
    pub(super) async fn update(&mut self, change: order::ActiveModel) -> Result<(), DbErr> {
        let change = order::ActiveModel { id: sea_orm::ActiveValue::Unchanged(self.order.id), ..change };
        self.order = change.update(self.transaction).await?;
        Ok(())
    }

    /// Stores a fact as a payment event of the order. Returns false and stores nothing if the fact is stored already.
    pub(super) async fn append_fact(&mut self, fact: Fact<'_>) -> Result<bool, DbErr> {
        let name = fact_name(fact.kind, &fact.name);
        if self.knows(&name).await? {
            return Ok(false);
        }
        let row = payment_event::ActiveModel {
            id: NotSet,
            order_id: Set(Some(self.order.id)),
            provider: Set(self.order.provider),
            fact: Set(name),
            event_id: Set(self.origin.event_id.clone()),
            kind: Set(fact.kind),
            payment: Set(fact.payment.map(str::to_owned)),
            object: Set(fact.object.map(str::to_owned)),
            reference: Set(stored_reference(fact.reference)),
            amount: Set(fact.money.map(|(amount, _)| amount)),
            currency: Set(fact.money.map(|(_, currency)| currency.to_owned())),
            source: Set(self.origin.source),
            recorded_at: Set(self.now),
        };
        row.insert(self.transaction).await?;
        failpoint::boundary("order.fact-recorded");
        Ok(true)
    }

    /// Tells whether a fact of this provider is stored. `name` is `kind:name`.
    pub(super) async fn knows(&self, name: &str) -> Result<bool, DbErr> {
        let known = payment_event::Entity::find()
            .filter(payment_event::Column::Provider.eq(self.order.provider))
            .filter(payment_event::Column::Fact.eq(name))
            .count(self.transaction)
            .await?;
        Ok(known > 0)
    }

    /// Tells whether a payment refund of the order is under way.
    pub(super) async fn has_open_refunds(&self) -> Result<bool, DbErr> {
        let found = payment_refund::Entity::find()
            .filter(payment_refund::Column::OrderId.eq(self.order.id))
            .filter(payment_refund::Column::Status.eq(RefundStatus::Requested))
            .count(self.transaction)
            .await?;
        Ok(found > 0)
    }

    /// Adds an audit event, which [`OrderWork::finish`] appends.
    pub(super) fn note(&mut self, event: OrderEvent, change: StateChange) {
        self.journal.push((event, change));
    }

    /// Ends the work: plans a check by the reconciler if refunds are under way, appends the audit events, and returns
    /// the order.
    pub(crate) async fn finish(mut self) -> Result<order::Model, Fault> {
        if self.order.due_at.is_none() && self.has_open_refunds().await? {
            let due_at = next_check(&self.order, 0, true, self.now);
            self.update(order::ActiveModel { due_at: Set(due_at), checks: Set(0), ..Default::default() })
                .await?;
        }
        for (event, change) in &self.journal {
            let event = Event::Order(self.order.id, *event);
            events::append_change(self.transaction, self.now, self.origin.by, event, change).await?;
        }
        failpoint::boundary("order.audited");
        Ok(self.order)
    }

    /// Writes a mail to the buyer which says that money of the order goes back. Does nothing if the account is deleted.
    pub(super) async fn tell_buyer(&self) -> Result<(), Fault> {
        // A deleted account has no address to which a mail could be sent.
        let email: Option<String> = user::Entity::find_by_id(self.order.user_id)
            .filter(user::Column::DeletedAt.is_null())
            .select_only()
            .column(user::Column::Email)
            .into_tuple()
            .one(self.transaction)
            .await?;
        match email {
            Some(email) => self.write_mail(MailKind::PaymentReturned, &email, Some(self.order.user_id)).await,
            None => Ok(()),
        }
    }

    /// Notifies support that the order needs attention, or that a bank opened a dispute about the order. Logs `event`
    /// as a warning, and writes a mail if an address for support is configured.
    pub(super) async fn tell_support(&self, event: &'static str) -> Result<(), Fault> {
        tracing::warn!(order = %self.order.id, reason = ?self.order.reason, "{event}");
        match &self.tools.support_address {
            Some(address) => self.write_mail(MailKind::OrderNeedsAttention, address, None).await,
            None => Ok(()),
        }
    }

    async fn write_mail(&self, kind: MailKind, to: &str, user: Option<UserId>) -> Result<(), Fault> {
        let receipt = &self.order.receipt_number;
        let message = mail::compose_about(&self.tools.secrets, kind, to, receipt, self.now)?;
        Ok(message.append(self.transaction, user).await?)
    }
}

/// Returns the state and the reason of an order, for the audit event of a move.
fn state_of(order: &order::Model) -> serde_json::Value {
    json!({ "state": order.state.to_value(), "reason": order.reason.map(|reason| reason.to_value()) })
}
