//! Reads the rows that decide a purchase, in one statement.

use std::collections::HashSet;
use std::sync::LazyLock;

use jishu_entity::purchase::PurchaseType;
use jishu_entity::{UserId, course, entitlement, purchase_request, subject};
use sea_orm::{ConnectionTrait, DbBackend, DbErr, QueryResult, Value};

use super::Selection;
use crate::allowance::SCOPES_OF_CARD;
use crate::database::{JoinedColumns, add_columns, sql, subjects_of_course};

/// The stored rows that decide a purchase.
#[derive(Clone, Debug, Default)]
pub(super) struct StoredSelection {
    /// The request of the buyer that was stored under the idempotency key. None if the buyer has no stored request with
    /// this key.
    pub(super) request: Option<purchase_request::Model>,
    pub(super) course: Option<course::Model>,
    /// The chosen subjects that exist, or all subjects of the course for a bundle, by id.
    pub(super) subjects: Vec<subject::Model>,
    /// The buyer's entitlements to these subjects that are not marked as ended, by subject id.
    pub(super) entitlements: Vec<entitlement::Model>,
    /// Whether at least one of the subjects is in the buyer's cart.
    pub(super) may_be_in_cart: bool,
    /// Whether there are allowances for cards of the buyer in these subjects.
    pub(super) may_have_allowances: bool,
}

/// The columns of the tables that the statement reads. The name of each column begins with a letter for its table.
static COLUMNS: LazyLock<String> = LazyLock::new(|| {
    let mut columns = String::new();
    add_columns::<purchase_request::Model>(&mut columns, "r");
    add_columns::<course::Model>(&mut columns, "c");
    add_columns::<subject::Model>(&mut columns, "s");
    add_columns::<entitlement::Model>(&mut columns, "e");
    columns
});

impl StoredSelection {
    /// Reads the course and the subjects of a selection, and the buyer's entitlements to these subjects that are not
    /// marked as ended. If the request has the idempotency key `key`, also reads the buyer's stored request with this
    /// key. Also finds out whether one of the subjects is in the buyer's cart, and whether allowances apply to the
    /// buyer's cards of these subjects.
    ///
    /// One statement reads all these rows. With two statements, a change of the bundle price and of the subjects'
    /// prices could be committed between them. Then the bundle would get a price that it never had.
    pub(super) async fn read(
        connection: &impl ConnectionTrait,
        buyer: Option<UserId>,
        key: Option<&str>,
        selection: &Selection,
    ) -> Result<Self, DbErr> {
        let backend = connection.get_database_backend();
        let buyer = Value::from(buyer.map(|id| id.0));
        let (subjects, chosen) = match selection.purchase_type {
            // If the course does not exist, the statement finds no subjects.
            PurchaseType::FullBundle => subjects_of_course(backend, "s", selection.course_id),
            PurchaseType::SingleSubject | PurchaseType::MultipleSubjects => {
                let ids = &selection.subject_ids;
                let condition = format!("s.id IN ({})", vec!["?"; ids.len()].join(", "));
                (condition, ids.iter().copied().map(Value::from).collect())
            }
        };
        let (columns, scopes) = (&*COLUMNS, scopes(backend));
        let text = format!(
            "SELECT {columns}\
             CASE WHEN EXISTS (SELECT 1 FROM cart_items i WHERE i.user_id = ? AND i.subject_id = s.id) THEN 1 ELSE 0 END \
             AS in_cart, \
             CASE WHEN EXISTS (SELECT 1 FROM allowances a WHERE a.scope IN ({scopes})) THEN 1 ELSE 0 END AS allowed \
             FROM (SELECT 1 AS one) base \
             LEFT JOIN purchase_requests r ON r.user_id = ? AND r.idempotency_key = ? \
             LEFT JOIN courses c ON c.id = ? \
             LEFT JOIN subjects s ON {subjects} \
             LEFT JOIN entitlements e ON e.user_id = ? AND e.subject_id = s.id AND e.ended_at IS NULL \
             ORDER BY s.id"
        );
        let mut values = vec![buyer.clone(); 1 + SCOPES_OF_CARD.matches('?').count()];
        values.extend([buyer.clone(), key.map(str::to_owned).into(), selection.course_id.into()]);
        values.extend(chosen);
        values.push(buyer);
        Self::from_rows(&connection.query_all_raw(sql(backend, &text, values)).await?)
    }

    fn from_rows(rows: &[QueryResult]) -> Result<Self, DbErr> {
        let mut stored = Self::default();
        let mut seen = HashSet::new();
        for row in rows {
            // In the order of the columns in the statement.
            let mut columns = JoinedColumns::of(row);
            columns.row_once(&mut stored.request)?;
            columns.row_once(&mut stored.course)?;
            if let Some(subject) = columns.row::<subject::Model>()?
                && seen.insert(subject.id)
            {
                stored.subjects.push(subject);
            }
            stored.entitlements.extend(columns.row()?);
            stored.may_be_in_cart |= columns.value::<i32>()? == 1;
            stored.may_have_allowances |= columns.value::<i32>()? == 1;
        }
        Ok(stored)
    }
}

/// Returns [`SCOPES_OF_CARD`] in the SQL of the database. MariaDB and MySQL join texts with `CONCAT` instead of `||`.
fn scopes(backend: DbBackend) -> String {
    match backend {
        DbBackend::MySql => {
            let concatenations =
                SCOPES_OF_CARD.split(", ").map(|scope| format!("CONCAT({})", scope.replace(" || ", ", ")));
            concatenations.collect::<Vec<_>>().join(", ")
        }
        _ => SCOPES_OF_CARD.to_owned(),
    }
}
