//! Disputes: the buyer's bank objects to a payment, and may take the money back.

use chrono::{DateTime, Utc};
use jishu_entity::order::{self, OrderReason, OrderState};
use jishu_entity::payment_event::{
    self,
    PaymentEventKind::{self, ChargedBack, DisputeClosed, DisputeOpened, DisputeWon},
};
use payment_providers::{DisputeReport, DisputeState};
use sea_orm::ActiveValue::Set;
use sea_orm::{ColumnTrait, DbErr, EntityTrait, QueryFilter, QuerySelect};
use serde_json::json;

use super::report::Report;
use super::work::OrderWork;
use crate::audit::StateChange;
use crate::error::Fault;
use crate::events::OrderEvent;
use crate::refund;

/// The reason that the buyer reads when a purchase ends because the bank took the money of the purchase back.
const CHARGEBACK_REASON: &str = "The payment was charged back by the bank";

impl OrderWork<'_> {
    /// Records a report about a dispute. Marks the order as disputed while the dispute is open, and notifies support
    /// when the dispute opens. If a dispute is closed without a known winner, staff must decide about the order. A lost
    /// dispute ends the access that the payment had bought. If the order has refunds that were given up, notifies
    /// support also when a dispute is won or closed.
    pub(super) async fn apply_dispute(
        &mut self,
        dispute: &DisputeReport,
        report: &Report,
    ) -> Result<(), Fault> {
        // Reports come in any order. If the end of this dispute was recorded before, a report that it is open changes
        // nothing.
        let earlier = self.dispute_reports().await?;
        let has_ended = |id: &str| earlier.iter().any(|(kind, of)| *kind != DisputeOpened && of == id);
        let other_is_open = earlier.iter().any(|(_, of)| *of != dispute.dispute && !has_ended(of));
        if !self.append_fact(report.fact()).await? {
            return Ok(());
        }
        let told = json!({ "amount": dispute.money.amount_minor, "currency": dispute.money.currency });
        match dispute.state {
            DisputeState::Open if has_ended(&dispute.dispute) => Ok(()),
            DisputeState::Open => {
                // A second dispute does not change the time of the first one.
                self.set_disputed_at(self.order.disputed_at.or(Some(self.now))).await?;
                self.note(OrderEvent::Disputed, StateChange::created(told));
                self.tell_support("a bank opened a dispute about an order").await
            }
            DisputeState::Won => {
                self.end_mark(other_is_open).await?;
                self.note(OrderEvent::DisputeEnded, StateChange::created(told));
                self.tell_of_given_up_refunds().await
            }
            DisputeState::Closed => {
                self.end_mark(other_is_open).await?;
                self.note(OrderEvent::DisputeEnded, StateChange::created(told));
                if self.order.state == OrderState::NeedsAttention {
                    return self.tell_of_given_up_refunds().await;
                }
                self.need_attention(OrderReason::DisputeClosed).await
            }
            DisputeState::Lost => {
                self.end_mark(other_is_open).await?;
                self.note(OrderEvent::ChargedBack, StateChange::created(told));
                self.end_charged_back(dispute).await
            }
        }
    }

    /// Ends the mark of the order as disputed, unless another dispute about it is still open.
    async fn end_mark(&mut self, other_is_open: bool) -> Result<(), Fault> {
        if other_is_open { Ok(()) } else { self.set_disputed_at(None).await }
    }

    /// Reads the reports about all disputes of the order: the kind of each report, and the id of its dispute.
    async fn dispute_reports(&self) -> Result<Vec<(PaymentEventKind, String)>, DbErr> {
        payment_event::Entity::find()
            .select_only()
            .columns([payment_event::Column::Kind, payment_event::Column::Object])
            .filter(payment_event::Column::OrderId.eq(self.order.id))
            .filter(payment_event::Column::Kind.is_in([
                DisputeOpened,
                DisputeWon,
                DisputeClosed,
                ChargedBack,
            ]))
            .into_tuple()
            .all(self.transaction)
            .await
    }

    async fn set_disputed_at(&mut self, disputed_at: Option<DateTime<Utc>>) -> Result<(), Fault> {
        self.update(order::ActiveModel { disputed_at: Set(disputed_at), ..Default::default() }).await?;
        Ok(())
    }

    /// Ends the access that the charged-back payment had bought, and gives up refunds whose money the bank took before
    /// the server sent them. If the money that is left is not 0 afterwards, or if the purchase has not ended, staff must
    /// decide. Otherwise moves the order to `REFUNDED`, unless a payment refund is under way or was given up.
    async fn end_charged_back(&mut self, dispute: &DisputeReport) -> Result<(), Fault> {
        let reason = OrderReason::ChargedBack;
        if matches!(self.order.state, OrderState::Paid | OrderState::Granted | OrderState::Refunded) {
            self.move_to(OrderState::Refunding, Some(reason)).await?;
        }
        let pays_order = self.order.payment_reference.as_deref() == Some(&*dispute.payment);
        if let Some(purchase) = self.order.purchase_id.filter(|_| pays_order) {
            let rest = refund::Rest {
                by: None,
                buyer: self.order.user_id,
                purchase,
                reason: CHARGEBACK_REASON,
                papers: &self.tools.papers,
                tools: self.tools,
                now: self.now,
            };
            if let Some(ended) = refund::refund_rest(self.transaction, rest).await? {
                // The buyer's bank has given the money back, so the server sends no refund.
                refund::settle(self.transaction, ended, self.now).await?;
            }
        }
        self.give_up_unsent(&dispute.payment).await?;
        self.finish_refunds_or_ask(reason).await
    }
}
