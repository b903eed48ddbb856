//! The statement of PostgreSQL that inserts a purchase with all rows that belong to it.

use jishu_entity::{entitlement, purchase, purchase_request, purchase_request_owned};
use sea_orm::sea_query::ArrayType;
use sea_orm::{ActiveValue::NotSet, Statement, Value};

use super::selection::ResolvedSelection;
use crate::audit::EventRow;
use crate::database::{Cell, InsertStatement, array, cells};
use crate::pricing::QuoteLine;

/// The parts of the statement that insert the cards of the new entitlements, and count them.
///
/// The insertion has no ON CONFLICT: if a card of a new purchase exists already, that is a bug, and the purchase must
/// be aborted.
const CARDS_SQL: &str = "\
cards AS (INSERT INTO mock_test_attempts \
(purchase_id, user_id, subject_id, test_number, status, max_attempts, attempts_used) \
SELECT g.purchase_id, g.user_id, g.subject_id, numbers.test_number, 'available', s.max_attempts, 0 \
FROM granted g JOIN subjects s ON s.id = g.subject_id \
CROSS JOIN LATERAL generate_series(1, g.test_cards) AS numbers (test_number) RETURNING 1), \
counted AS (SELECT COUNT(*) AS made FROM cards)";

/// Returns the statement that inserts a purchase with its entitlements, the stored request, all cards, and the audit
/// event if `event` is given. Its result is the id of the purchase and the number of the cards.
///
/// The entitlements take the id, the user and the times from the new row of the purchase. The request and the event
/// take only the id.
pub(super) fn statement(
    purchase: purchase::ActiveModel,
    request: purchase_request::ActiveModel,
    event: Option<EventRow>,
    resolved: &ResolvedSelection,
) -> Statement {
    let mut statement = InsertStatement::default()
        .sql("WITH bought AS (")
        .insert::<purchase::Entity>(cells(purchase))
        .sql(" RETURNING id, user_id, created_at, expires_at), granted AS (")
        .insert::<entitlement::Entity>([
            (entitlement::Column::PurchaseId, Cell::Sql("bought.id")),
            (entitlement::Column::SubjectId, Cell::Sql("v.subject_id")),
            (entitlement::Column::UserId, Cell::Sql("bought.user_id")),
            (entitlement::Column::PricePaid, Cell::Sql("v.price_paid")),
            (entitlement::Column::ListPrice, Cell::Sql("v.list_price")),
            (entitlement::Column::Tax, Cell::Sql("v.tax")),
            (entitlement::Column::TestCards, Cell::Sql("v.test_cards")),
            (entitlement::Column::GrantedAt, Cell::Sql("bought.created_at")),
            (entitlement::Column::ExpiresAt, Cell::Sql("bought.expires_at")),
        ])
        .sql(" FROM bought, ");
    let lines = &resolved.quote.lines;
    let column = |kind, value: fn(&QuoteLine) -> Value| array(kind, lines.iter().map(value));
    statement = statement
        .unnest(
            "v",
            [
                ("subject_id", column(ArrayType::BigInt, |line| line.subject_id.into())),
                ("price_paid", column(ArrayType::BigInt, |line| line.price.into())),
                ("list_price", column(ArrayType::BigInt, |line| line.list_price.into())),
                ("tax", column(ArrayType::BigInt, |line| line.tax.into())),
                ("test_cards", column(ArrayType::Int, |line| line.test_cards.into())),
            ],
        )
        .sql(" RETURNING purchase_id, user_id, subject_id, test_cards), stored AS (");
    let request = purchase_request::ActiveModel { purchase_id: NotSet, ..request };
    let bought = [(purchase_request::Column::PurchaseId, Cell::Sql("bought.id"))];
    statement = statement
        .insert::<purchase_request::Entity>(cells(request).chain(bought))
        .sql(" FROM bought RETURNING id), ");
    if !resolved.owned.is_empty() {
        statement = owned(statement, &resolved.owned);
    }
    statement = statement.sql(CARDS_SQL);
    if let Some(event) = event {
        // The event reads `counted`, so that it gets its id after the cards are inserted.
        statement =
            event.insert_into(statement.sql(", audited AS ("), "bought.id").sql(" FROM bought, counted)");
    }
    statement.sql(" SELECT bought.id, counted.made FROM bought, counted").build()
}

/// Appends the part that stores the requested subjects that the buyer already owned, with the purchases that gave them.
fn owned(statement: InsertStatement, owned: &[entitlement::Model]) -> InsertStatement {
    let column = |value: fn(&entitlement::Model) -> Value| array(ArrayType::BigInt, owned.iter().map(value));
    statement
        .sql("owned AS (")
        .insert::<purchase_request_owned::Entity>([
            (purchase_request_owned::Column::RequestId, Cell::Sql("stored.id")),
            (purchase_request_owned::Column::SubjectId, Cell::Sql("v.subject_id")),
            (purchase_request_owned::Column::GrantedBy, Cell::Sql("v.granted_by")),
        ])
        .sql(" FROM stored, ")
        .unnest(
            "v",
            [
                ("subject_id", column(|owned| owned.subject_id.into())),
                ("granted_by", column(|owned| owned.purchase_id.into())),
            ],
        )
        .sql("), ")
}
