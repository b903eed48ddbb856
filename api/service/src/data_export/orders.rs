//! Exports the orders, with their lines, payment events and payment refunds, and with the decisions of support.

use jishu_entity::{OrderId, audit_event, order, order_line, payment_event, payment_refund};
use sea_orm::{ActiveEnum, ColumnTrait, EntityTrait, QueryFilter, QueryOrder};
use serde_json::{Value, json};

use super::pages::Pages;
use super::writer::{Stop, Writer};
use super::{UserExport, time, time_or_null};
use crate::order::{DECISION_TEXT, RESOLVED};

/// Maximum number of orders that are read at once, with their parts.
const ORDERS_PER_READ: u64 = 100;

/// The lines, payment events, payment refunds and decisions of a page of orders.
struct OrderParts {
    lines: Vec<order_line::Model>,
    events: Vec<payment_event::Model>,
    refunds: Vec<payment_refund::Model>,
    /// The audit events that record the decisions of support.
    decisions: Vec<audit_event::Model>,
}

impl UserExport {
    pub(super) async fn write_orders(&self, writer: &mut Writer) -> Result<(), Stop> {
        writer.begin_list("orders");
        let mut pages =
            Pages::new(order::Entity::of(self.user), order::Column::Id, |row| row.id.0, ORDERS_PER_READ);
        while let Some(rows) = pages.next(self.source.database.reader()).await? {
            let parts = self.order_parts(rows.iter().map(|row| row.id).collect()).await?;
            for row in &rows {
                writer.item(&self.order(row, &parts)).await?;
            }
        }
        writer.end_list();
        Ok(())
    }

    async fn order_parts(&self, ids: Vec<OrderId>) -> Result<OrderParts, Stop> {
        let reader = self.source.database.reader();
        let ids = || ids.iter().copied();
        Ok(OrderParts {
            lines: order_line::Entity::find()
                .filter(order_line::Column::OrderId.is_in(ids()))
                .order_by_asc(order_line::Column::SubjectId)
                .all(reader)
                .await?,
            events: payment_event::Entity::find()
                .filter(payment_event::Column::OrderId.is_in(ids()))
                .order_by_asc(payment_event::Column::Id)
                .all(reader)
                .await?,
            refunds: payment_refund::Entity::find()
                .filter(payment_refund::Column::OrderId.is_in(ids()))
                .order_by_asc(payment_refund::Column::Id)
                .all(reader)
                .await?,
            decisions: audit_event::Entity::find()
                .filter(audit_event::Column::TargetType.eq("orders"))
                .filter(audit_event::Column::TargetId.is_in(ids().map(|id| id.0)))
                .filter(audit_event::Column::Action.eq(RESOLVED))
                .order_by_asc(audit_event::Column::Id)
                .all(reader)
                .await?,
        })
    }

    fn order(&self, row: &order::Model, parts: &OrderParts) -> Value {
        let lines = parts.lines.iter().filter(|part| part.order_id == row.id);
        let events = parts.events.iter().filter(|part| part.order_id == Some(row.id));
        let refunds = parts.refunds.iter().filter(|part| part.order_id == row.id);
        let decisions = parts.decisions.iter().filter(|part| part.target_id == row.id.0);
        json!({
            "id": row.id.0,
            "course": self.names.course(row.course_id),
            "type": row.purchase_type.to_value(),
            "receiptNumber": row.receipt_number,
            "idempotencyKey": row.idempotency_key,
            "provider": row.provider.to_value(),
            "providerReference": row.provider_reference,
            "paymentReference": row.payment_reference,
            "amount": row.amount,
            "subtotal": row.subtotal,
            "tax": row.tax,
            "taxLabel": row.tax_label,
            "taxBasisPoints": row.tax_basis_points,
            "isTaxIncluded": row.is_tax_included,
            "currency": row.currency,
            "state": row.state.to_value(),
            "reason": row.reason.map(|reason| reason.to_value()),
            "purchaseId": row.purchase_id.map(|id| id.0),
            "createdAt": time(row.created_at),
            "expiresAt": time(row.expires_at),
            "paidAt": time_or_null(row.paid_at),
            "changedAt": time(row.changed_at),
            "disputedAt": time_or_null(row.disputed_at),
            "subjects": lines.map(|part| self.line(part)).collect::<Vec<_>>(),
            "events": events.map(event).collect::<Vec<_>>(),
            "refunds": refunds.map(refund).collect::<Vec<_>>(),
            "decisions": decisions.map(decision).collect::<Vec<_>>(),
        })
    }

    fn line(&self, row: &order_line::Model) -> Value {
        json!({
            "subject": self.names.subject(row.subject_id),
            "listPrice": row.list_price,
            "price": row.price,
            "tax": row.tax,
            "testCards": row.test_cards,
        })
    }
}

fn event(row: &payment_event::Model) -> Value {
    json!({
        "kind": row.kind.to_value(),
        "payment": row.payment,
        "object": row.provider_object(),
        "amount": row.amount,
        "currency": row.currency,
        "source": row.source.to_value(),
        "recordedAt": time(row.recorded_at),
    })
}

fn refund(row: &payment_refund::Model) -> Value {
    json!({
        "refundId": row.refund_id.map(|id| id.0),
        "payment": row.payment,
        "providerRefund": row.provider_refund,
        "amount": row.amount,
        "currency": row.currency,
        "reason": row.reason.to_value(),
        "status": row.status.to_value(),
        "requestedAt": time(row.requested_at),
        "settledAt": time_or_null(row.settled_at),
    })
}

/// Returns a decision of support about an order, without the member of support who made it.
fn decision(row: &audit_event::Model) -> Value {
    let state = row.state_after.as_deref().and_then(|text| serde_json::from_str::<Value>(text).ok());
    let value = |field: &str| state.as_ref().and_then(|state| state.get(field));
    json!({
        "at": time(row.at),
        "resolution": value("resolution"),
        "reason": value(DECISION_TEXT),
    })
}
