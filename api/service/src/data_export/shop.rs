//! Exports the purchases, with their subjects, requests, refunds and grants.

use jishu_entity::{
    PurchaseId, entitlement, purchase, purchase_grant, purchase_request, purchase_request_owned, refund,
    refund_line,
};
use sea_orm::{ActiveEnum, ColumnTrait, EntityTrait, QueryFilter, QueryOrder};
use serde_json::{Value, json};

use super::pages::Pages;
use super::writer::{Stop, Writer};
use super::{UserExport, time, time_or_null};
use crate::database::MAX_IDS_PER_STATEMENT;

/// Maximum number of purchases that are read at once, with their subjects, requests, refunds and grants.
const PURCHASES_PER_READ: u64 = 100;

/// The subjects, requests, refunds and grants of a page of purchases.
struct PurchaseParts {
    subjects: Vec<entitlement::Model>,
    requests: Vec<purchase_request::Model>,
    owned: Vec<purchase_request_owned::Model>,
    refunds: Vec<refund::Model>,
    refund_lines: Vec<refund_line::Model>,
    grants: Vec<purchase_grant::Model>,
}

impl UserExport {
    pub(super) async fn write_shop(&self, writer: &mut Writer) -> Result<(), Stop> {
        writer.begin_list("purchases");
        let mut pages = Pages::new(
            purchase::Entity::of(self.user),
            purchase::Column::Id,
            |row| row.id.0,
            PURCHASES_PER_READ,
        );
        while let Some(rows) = pages.next(self.source.database.reader()).await? {
            let parts = self.parts(rows.iter().map(|row| row.id).collect()).await?;
            for row in &rows {
                writer.item(&self.purchase(row, &parts)).await?;
            }
        }
        writer.end_list();
        Ok(())
    }

    async fn parts(&self, ids: Vec<PurchaseId>) -> Result<PurchaseParts, Stop> {
        let reader = self.source.database.reader();
        let ids = || ids.iter().copied();
        let requests = purchase_request::Entity::of(self.user)
            .filter(purchase_request::Column::PurchaseId.is_in(ids()))
            .all(reader)
            .await?;
        let mut owned = Vec::new();
        for requests in requests.chunks(MAX_IDS_PER_STATEMENT) {
            let of_request =
                purchase_request_owned::Column::RequestId.is_in(requests.iter().map(|row| row.id));
            owned.extend(purchase_request_owned::Entity::find().filter(of_request).all(reader).await?);
        }
        Ok(PurchaseParts {
            subjects: entitlement::Entity::of(self.user)
                .filter(entitlement::Column::PurchaseId.is_in(ids()))
                .order_by_asc(entitlement::Column::SubjectId)
                .all(reader)
                .await?,
            owned,
            refunds: refund::Entity::of(self.user)
                .filter(refund::Column::PurchaseId.is_in(ids()))
                .order_by_asc(refund::Column::Id)
                .all(reader)
                .await?,
            refund_lines: refund_line::Entity::find()
                .filter(refund_line::Column::PurchaseId.is_in(ids()))
                .all(reader)
                .await?,
            grants: purchase_grant::Entity::find()
                .filter(purchase_grant::Column::PurchaseId.is_in(ids()))
                .all(reader)
                .await?,
            requests,
        })
    }

    fn purchase(&self, row: &purchase::Model, parts: &PurchaseParts) -> Value {
        let subjects: Vec<Value> = parts
            .subjects
            .iter()
            .filter(|part| part.purchase_id == row.id)
            .map(|part| self.bought(part))
            .collect();
        let requests: Vec<Value> = parts
            .requests
            .iter()
            .filter(|part| part.purchase_id == row.id)
            .map(|part| self.request(part, parts))
            .collect();
        let refunds: Vec<Value> = parts
            .refunds
            .iter()
            .filter(|part| part.purchase_id == row.id)
            .map(|part| self.refund(part, parts))
            .collect();
        let grant = parts.grants.iter().find(|part| part.purchase_id == row.id);
        json!({
            "id": row.id.0,
            "course": self.names.course(row.course_id),
            "type": row.purchase_type.to_value(),
            "cost": row.cost,
            "subtotal": row.subtotal,
            "tax": row.tax,
            "taxLabel": row.tax_label,
            "taxBasisPoints": row.tax_basis_points,
            "isTaxIncluded": row.is_tax_included,
            "currency": row.currency,
            "status": row.status.to_value(),
            "createdAt": time(row.created_at),
            "expiresAt": time_or_null(row.expires_at),
            "subjects": subjects,
            "requests": requests,
            "refunds": refunds,
            "grant": grant.map(|grant| json!({ "reason": grant.reason })),
        })
    }

    fn bought(&self, row: &entitlement::Model) -> Value {
        json!({
            "subject": self.names.subject(row.subject_id),
            "pricePaid": row.price_paid,
            "listPrice": row.list_price,
            "tax": row.tax,
            "testCards": row.test_cards,
            "grantedAt": time(row.granted_at),
            "expiresAt": time_or_null(row.expires_at),
            "endedAt": time_or_null(row.ended_at),
            "endReason": row.end_reason.map(|reason| reason.to_value()),
        })
    }

    fn request(&self, row: &purchase_request::Model, parts: &PurchaseParts) -> Value {
        let owned = parts.owned.iter().filter(|part| part.request_id == row.id);
        let owned: Vec<Value> = owned
            .map(|part| {
                json!({ "subject": self.names.subject(part.subject_id), "purchaseId": part.granted_by.0 })
            })
            .collect();
        json!({
            "idempotencyKey": row.idempotency_key,
            "outcome": row.outcome.to_value(),
            "createdAt": time(row.created_at),
            "alreadyOwned": owned,
        })
    }

    fn refund(&self, row: &refund::Model, parts: &PurchaseParts) -> Value {
        let lines = parts.refund_lines.iter().filter(|part| part.refund_id == row.id);
        let lines: Vec<Value> = lines
            .map(|part| {
                json!({
                    "subject": self.names.subject(part.subject_id),
                    "amount": part.amount,
                    "tax": part.tax,
                })
            })
            .collect();
        json!({
            "id": row.id.0,
            "amount": row.amount,
            "tax": row.tax,
            "currency": row.currency,
            "reason": row.reason,
            "status": row.status.to_value(),
            "requestedAt": time(row.requested_at),
            "settledAt": time_or_null(row.settled_at),
            "subjects": lines,
        })
    }
}
