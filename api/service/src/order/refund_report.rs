//! Applies the reports of a provider about refunds, including refunds that staff made at the provider's console.

use jishu_entity::order::{OrderReason, OrderState};
use jishu_entity::payment_event::PaymentEventKind;
use jishu_entity::payment_refund;
use jishu_entity::refund::RefundStatus;
use payment_providers::{RefundReport, RefundState};
use sea_orm::{ActiveModelTrait, ActiveValue::NotSet, ActiveValue::Set, IntoActiveModel};
use serde_json::json;

use super::given_up::is_given_up;
use super::refunds::new_reference;
use super::work::{Fact, OrderWork};
use crate::audit::StateChange;
use crate::error::Fault;
use crate::events::OrderEvent;
use crate::refund;

/// The reason that the buyer reads when a purchase ends because of a refund at the provider's console.
const CONSOLE_REASON: &str = "Refunded at the payment provider";

impl OrderWork<'_> {
    /// Records a report of the provider about a refund: settles the refund, or handles its failure. If the server does
    /// not know the refund, staff made the refund at the provider's console.
    pub(super) async fn apply_refund(&mut self, report: &RefundReport) -> Result<(), Fault> {
        let failed = format!("refund_refused:{}", report.refund);
        // The provider reported before that this refund failed. Its earlier states may be reported late, so they are
        // ignored.
        if self.knows(&failed).await? {
            return Ok(());
        }
        let rows = self.refunds().await?;
        let by_id = |row: &&payment_refund::Model| row.provider_refund.as_deref() == Some(&*report.refund);
        let by_reference = |row: &&payment_refund::Model| report.reference.as_ref() == Some(&row.reference);
        let identified = rows.iter().find(by_id).or_else(|| rows.iter().find(by_reference));
        let is_from_console = identified.is_none();
        // A refund at the console may have the payment and amount of a refund that the server has not sent yet, or that
        // it gave up. Then the report counts for that refund, so the money does not go back twice.
        let is_same = |row: &payment_refund::Model| {
            report.reference.is_none()
                && report.state != RefundState::Failed
                && row.payment == report.payment
                && row.amount == report.money.amount_minor
        };
        let is_unsent = |row: &&payment_refund::Model| {
            row.status == RefundStatus::Requested && row.provider_refund.is_none() && is_same(row)
        };
        let found = identified.or_else(|| rows.iter().find(is_unsent));
        let found = found.or_else(|| rows.iter().find(|row| is_given_up(row) && is_same(row))).cloned();
        let Some(mut row) = found else { return self.apply_console_refund(report, &rows).await };
        let goes_back_after_all = row.status == RefundStatus::Failed && report.state != RefundState::Failed;
        if row.provider_refund.is_none() || goes_back_after_all {
            let mut named = row.into_active_model();
            named.provider_refund = Set(Some(report.refund.clone()));
            if is_from_console {
                // The server may have sent this refund under the old reference. If the provider reports that refund
                // later, it is another refund. The outbox message that waits finds no row with the old reference.
                named.reference = Set(new_reference());
            }
            row = named.update(self.transaction).await?;
        }
        match report.state {
            RefundState::Pending if goes_back_after_all => {
                self.reopen_refund(row).await?;
            }
            RefundState::Pending => {}
            RefundState::Settled => {
                self.settle_refund(row).await?;
                self.finish_refunds().await?;
            }
            RefundState::Failed => {
                self.append_refused(report).await?;
                if row.status != RefundStatus::Failed {
                    let failure = report.failure.as_deref().unwrap_or("failed");
                    self.refuse_refund(row, failure).await?;
                }
            }
        }
        if goes_back_after_all && self.sums().await?.left() != 0 {
            // The money that goes back may have paid for the order meanwhile.
            self.need_attention(OrderReason::RefundFailed).await?;
        }
        Ok(())
    }

    async fn append_refused(&mut self, report: &RefundReport) -> Result<(), Fault> {
        let fact = Fact {
            kind: PaymentEventKind::RefundRefused,
            name: report.refund.clone(),
            payment: Some(&report.payment),
            object: Some(&report.refund),
            reference: report.reference.as_deref(),
            money: Some((report.money.amount_minor, &report.money.currency)),
        };
        self.append_fact(fact).await?;
        Ok(())
    }

    /// Records a refund that the server did not send. If its amount is all the money that is left of the payment that
    /// paid for the order, the purchase ends. If the money that is left is not 0 afterwards, or if the purchase has not
    /// ended, staff must decide.
    async fn apply_console_refund(
        &mut self,
        report: &RefundReport,
        rows: &[payment_refund::Model],
    ) -> Result<(), Fault> {
        if report.state == RefundState::Failed || report.money.amount_minor <= 0 {
            return self.append_refused(report).await;
        }
        if self.knows(&format!("refund_requested:console:{}", report.refund)).await? {
            return Ok(());
        }
        let pays_order = self.order.payment_reference.as_deref() == Some(&*report.payment);
        let payments = self.money_of_payments().await?;
        let left = payments.iter().find(|(payment, _)| *payment == report.payment).map(|(_, left)| *left);
        let (amount, currency) = (report.money.amount_minor, report.money.currency.as_str());
        let ends_purchase = pays_order && self.order.purchase_id.is_some() && left == Some(amount);
        if matches!(self.order.state, OrderState::Paid | OrderState::Granted | OrderState::Refunded) {
            self.move_to(OrderState::Refunding, Some(OrderReason::ConsoleRefund)).await?;
        }
        let mut refund_id = None;
        if ends_purchase && let Some(purchase) = self.order.purchase_id {
            let rest = refund::Rest {
                by: None,
                buyer: self.order.user_id,
                purchase,
                reason: CONSOLE_REASON,
                papers: &self.tools.papers,
                tools: self.tools,
                now: self.now,
            };
            refund_id = refund::refund_rest(self.transaction, rest).await?.map(|refund| refund.id);
        }
        let row = payment_refund::ActiveModel {
            id: NotSet,
            order_id: Set(self.order.id),
            refund_id: Set(refund_id),
            provider: Set(self.order.provider),
            payment: Set(report.payment.clone()),
            reference: Set(new_reference()),
            provider_refund: Set(Some(report.refund.clone())),
            amount: Set(amount),
            currency: Set(currency.to_owned()),
            reason: Set(OrderReason::ConsoleRefund),
            status: Set(RefundStatus::Requested),
            tries: Set(super::refunds::MAX_REFUND_TRIES),
            message_id: Set(None),
            failure: Set(None),
            requested_at: Set(self.now),
            settled_at: Set(None),
        };
        let row = row.insert(self.transaction).await?;
        let fact = Fact {
            kind: PaymentEventKind::RefundRequested,
            name: format!("console:{}", report.refund),
            payment: Some(&report.payment),
            object: Some(&report.refund),
            reference: Some(&row.reference),
            money: Some((amount, currency)),
        };
        self.append_fact(fact).await?;
        self.note(
            OrderEvent::ConsoleRefund,
            StateChange::created(json!({ "amount": amount, "currency": currency })),
        );
        if report.state == RefundState::Settled {
            self.settle_refund(row).await?;
        }
        self.give_back_unspent(rows).await?;
        self.finish_refunds_or_ask(OrderReason::ConsoleRefund).await
    }

    /// Gives back the remaining money of the order's payment. Does nothing unless the order is refunding and nothing
    /// was granted. Also does nothing if `rows` is not empty, because then the order had other refunds before.
    async fn give_back_unspent(&mut self, rows: &[payment_refund::Model]) -> Result<(), Fault> {
        let balance = self.sums().await?.balance();
        let Some(payment) = self.order.payment_reference.clone() else { return Ok(()) };
        let is_granted = self.order.purchase_id.is_some();
        if balance <= 0 || is_granted || self.order.state != OrderState::Refunding || !rows.is_empty() {
            return Ok(());
        }
        let currency = self.order.currency.clone();
        self.give_back(super::refunds::GiveBack {
            payment: &payment,
            amount: balance,
            currency: &currency,
            reason: OrderReason::ConsoleRefund,
            refund: None,
        })
        .await
        .map(drop)
    }
}
