//! Reports about the money of orders, and the facts that are made from them.

use jishu_entity::payment_event::PaymentEventKind;
use payment_providers::{
    DisputeReport, DisputeState, PaymentReport, PaymentState, RefundReport, RefundState,
};

use super::work::Fact;

/// Maximum number of characters in an id that a provider gives.
const MAX_ID_CHARS: usize = 120;

/// A report about a payment, a refund or a dispute. It comes from a provider or, for a payment by hand, from support.
#[derive(Clone, Debug)]
pub(super) enum Report {
    Payment(PaymentReport),
    Refund(RefundReport),
    Dispute(DisputeReport),
}

impl Report {
    /// Tells whether the ids of the report have at most [`MAX_ID_CHARS`] characters of printable ASCII. Providers give
    /// no other ids, and longer ids do not fit into their columns.
    pub(super) fn has_plain_ids(&self) -> bool {
        let ids = match self {
            Self::Payment(payment) => [Some(payment.provider_order.as_str()), payment.payment.as_deref()],
            Self::Refund(refund) => [Some(refund.refund.as_str()), Some(refund.payment.as_str())],
            Self::Dispute(dispute) => [Some(dispute.dispute.as_str()), Some(dispute.payment.as_str())],
        };
        ids.into_iter().flatten().all(|id| {
            id.len() <= MAX_ID_CHARS && id.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ')
        })
    }

    /// Tells whether the report must be stored if its order is unknown. This holds for captured money, disputes and
    /// refunds. A failed refund counts too: an earlier report that the refund is under way may arrive later.
    pub(super) fn must_be_kept(&self) -> bool {
        match self {
            Self::Payment(payment) => payment.state == PaymentState::Captured,
            Self::Refund(_) | Self::Dispute(_) => true,
        }
    }

    /// Makes the fact that a payment event stores from the report.
    pub(super) fn fact(&self) -> Fact<'_> {
        match self {
            Self::Payment(report) => {
                let payment = report.payment.as_deref().unwrap_or(&report.provider_order);
                let kind = match report.state {
                    PaymentState::Captured => PaymentEventKind::Captured,
                    PaymentState::Failed => PaymentEventKind::Failed,
                    PaymentState::Cancelled => PaymentEventKind::Cancelled,
                    PaymentState::Pending | PaymentState::Authorized => PaymentEventKind::Authorized,
                };
                Fact {
                    kind,
                    name: payment.to_owned(),
                    payment: Some(payment),
                    object: None,
                    reference: report.order_reference.as_deref(),
                    money: Some((report.money.amount_minor, &report.money.currency)),
                }
            }
            Self::Refund(report) => {
                let kind = match report.state {
                    RefundState::Pending => PaymentEventKind::RefundRequested,
                    RefundState::Settled => PaymentEventKind::RefundSettled,
                    RefundState::Failed => PaymentEventKind::RefundRefused,
                };
                Fact {
                    kind,
                    name: report.refund.clone(),
                    payment: Some(&report.payment),
                    object: Some(&report.refund),
                    reference: report.reference.as_deref(),
                    money: Some((report.money.amount_minor, &report.money.currency)),
                }
            }
            Self::Dispute(report) => {
                let kind = match report.state {
                    DisputeState::Open => PaymentEventKind::DisputeOpened,
                    DisputeState::Won => PaymentEventKind::DisputeWon,
                    DisputeState::Lost => PaymentEventKind::ChargedBack,
                    DisputeState::Closed => PaymentEventKind::DisputeClosed,
                };
                Fact {
                    kind,
                    name: report.dispute.clone(),
                    payment: Some(&report.payment),
                    object: Some(&report.dispute),
                    reference: None,
                    money: Some((report.money.amount_minor, &report.money.currency)),
                }
            }
        }
    }
}
