//! Purchases and refunds at chosen times, written to the tables directly.

use jishu_entity::purchase::{PurchaseStatus, PurchaseType};
use jishu_entity::refund::RefundStatus;
use jishu_entity::user::Role;
use jishu_entity::{PurchaseId, UserId, entitlement, purchase, refund, refund_line};
use jishu_tests::{Backend, Client, TestApp, TestCourse};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::{ActiveModelTrait, EntityTrait};
use serde_json::{Value, json};
use uuid::Uuid;

pub(super) const REPORT: &str = "query ($from: DateTime!, $to: DateTime!, $by: [SalesDimension!]!) {
  salesReport(from: $from, to: $to, by: $by) { timeZone rows {
    month day course { id name } subject { name } currency purchases subjectsSold
    gross { ...M } discount { ...M } charged { ...M } tax { ...M } refunds { count amount { ...M } tax { ...M } } net { ...M } } } }
fragment M on Money { amount currency }";

/// Returns the rows of a sales report from one time to another, with these dimensions.
pub(super) async fn report(client: &Client, [from, to]: [&str; 2], by: &[&str]) -> Vec<Value> {
    let answer = client.run_with(REPORT, json!({ "from": from, "to": to, "by": by })).await;
    answer.list("/salesReport/rows").to_vec()
}

/// A subject of a purchase or of a refund, with its amounts in minor units.
#[derive(Clone, Copy)]
pub(super) struct Line {
    /// The index of the subject among the four subjects of [`Books`].
    subject: usize,
    amount: i64,
    list_price: Option<i64>,
    tax: Option<i64>,
}

impl Line {
    pub(super) fn new(subject: usize, amount: i64) -> Self {
        Self { subject, amount, list_price: None, tax: None }
    }

    pub(super) fn list(self, price: i64) -> Self {
        Self { list_price: Some(price), ..self }
    }

    pub(super) fn tax(self, tax: i64) -> Self {
        Self { tax: Some(tax), ..self }
    }
}

/// A purchase that a test has written to the tables.
pub(super) struct Sold {
    id: PurchaseId,
    buyer: UserId,
    currency: String,
}

/// Two courses with two subjects each, and an admin.
pub(super) struct Books<'a> {
    app: &'a TestApp,
    courses: [TestCourse; 2],
    pub(super) admin: Client,
}

/// Sums and counts of whole tables in one currency. Amounts are in minor units.
pub(super) struct SqlSums {
    /// The number of sold subjects, then the sums of the amounts gross, charged, tax and refunded.
    pub(super) amounts: [i64; 5],
    /// The number of purchases and the number of refunds.
    pub(super) counts: [i64; 2],
}

impl<'a> Books<'a> {
    pub(super) async fn open(app: &'a TestApp) -> Self {
        let courses = [
            app.course(&["Physics", "Chemistry"]).create(app).await,
            app.course(&["Botany", "Zoology"]).create(app).await,
        ];
        Self { app, courses, admin: app.staff("Ada", Role::Admin).await }
    }

    /// Writes a purchase with these lines that was made at the time `at`, and a new user as its buyer.
    pub(super) async fn sell(
        &self,
        at: &str,
        currency: &str,
        is_tax_included: Option<bool>,
        lines: &[Line],
    ) -> Sold {
        let connection = self.app.connection();
        let at = at.parse().unwrap();
        let name = Uuid::new_v4().simple().to_string();
        self.app.staff(&name, Role::Learner).await;
        let buyer = UserId(self.app.number(&format!("SELECT id FROM users WHERE name = '{name}'")).await);
        let row = purchase::ActiveModel {
            id: NotSet,
            user_id: Set(buyer),
            course_id: Set(self.courses[lines[0].subject / 2].row),
            purchase_type: Set(PurchaseType::MultipleSubjects),
            cost: Set(lines.iter().map(|line| line.amount).sum()),
            subtotal: Set(lines.iter().map(|line| line.list_price).sum()),
            tax: Set(lines.iter().map(|line| line.tax).sum()),
            tax_label: Set(None),
            tax_basis_points: Set(None),
            is_tax_included: Set(is_tax_included),
            currency: Set(currency.to_owned()),
            status: Set(PurchaseStatus::Active),
            created_at: Set(at),
            expires_at: Set(None),
        };
        let id = row.insert(connection).await.unwrap().id;
        let entitlements = lines.iter().map(|line| entitlement::ActiveModel {
            purchase_id: Set(id),
            subject_id: Set(self.courses[line.subject / 2].subject_rows[line.subject % 2]),
            user_id: Set(buyer),
            price_paid: Set(line.amount),
            list_price: Set(line.list_price),
            tax: Set(line.tax),
            test_cards: Set(1),
            granted_at: Set(at),
            expires_at: Set(None),
            ended_at: Set(None),
            end_reason: Set(None),
        });
        entitlement::Entity::insert_many(entitlements).exec_without_returning(connection).await.unwrap();
        Sold { id, buyer, currency: currency.to_owned() }
    }

    /// Writes a refund of these lines of a purchase that was requested at the time `at`.
    pub(super) async fn refund(&self, sold: &Sold, at: &str, status: RefundStatus, lines: &[Line]) {
        let connection = self.app.connection();
        let row = refund::ActiveModel {
            id: NotSet,
            purchase_id: Set(sold.id),
            user_id: Set(sold.buyer),
            idempotency_key: Set(Uuid::new_v4().to_string()),
            request_hash: Set("0".repeat(64)),
            amount: Set(lines.iter().map(|line| line.amount).sum()),
            tax: Set(lines.iter().map(|line| line.tax).sum()),
            currency: Set(sold.currency.clone()),
            reason: Set("asked for".to_owned()),
            status: Set(status),
            requested_by: Set(sold.buyer),
            requested_at: Set(at.parse().unwrap()),
            settled_at: Set(None),
        };
        let id = row.insert(connection).await.unwrap().id;
        let lines = lines.iter().map(|line| refund_line::ActiveModel {
            purchase_id: Set(sold.id),
            subject_id: Set(self.courses[line.subject / 2].subject_rows[line.subject % 2]),
            refund_id: Set(id),
            amount: Set(line.amount),
            tax: Set(line.tax),
        });
        refund_line::Entity::insert_many(lines).exec_without_returning(connection).await.unwrap();
    }

    /// Writes this number of purchases in 2026, and refunds of some of them.
    pub(super) async fn fill(&self, purchases: usize) {
        let mut random = StdRng::seed_from_u64(7);
        for number in 0..purchases {
            let mut at = || {
                let (month, day) = (random.random_range(1..=12), random.random_range(1..=28));
                let (hour, minute) = (random.random_range(0..24), random.random_range(0..60));
                format!("2026-{month:02}-{day:02}T{hour:02}:{minute:02}:00Z")
            };
            let (bought, refunded) = (at(), at());
            let currency = if number % 5 == 0 { "USD" } else { "INR" };
            let course = random.random_range(0..2) * 2;
            let mut line = |subject: usize| {
                let paid = random.random_range(0..100_000);
                let line = Line::new(course + subject, paid);
                if number % 7 == 0 {
                    line
                } else {
                    line.list(paid + random.random_range(0..10_000)).tax(paid / 10)
                }
            };
            let mut lines = vec![line(0)];
            if number % 3 == 0 {
                lines.push(line(1));
            }
            let included = [None, Some(true), Some(false)][number % 3];
            let sold = self.sell(&bought, currency, included, &lines).await;
            if number % 4 == 0 {
                let status =
                    [RefundStatus::Requested, RefundStatus::Settled, RefundStatus::Failed][number % 3];
                self.refund(&sold, &refunded, status, &lines[..1]).await;
            }
        }
    }

    /// Sums up whole tables in one currency, with other statements than those of the server's report.
    pub(super) async fn sums_by_sql(&self, currency: &str) -> SqlSums {
        let whole = if self.app.backend == Backend::MariaDb { "SIGNED" } else { "BIGINT" };
        let number = async |what: &str, table: &str| {
            let sql = format!("SELECT CAST({what} AS {whole}) FROM {table} WHERE currency = '{currency}'");
            self.app.number(&sql).await
        };
        let lines = "purchases JOIN entitlements ON purchase_id = id";
        SqlSums {
            amounts: [
                number("COUNT(*)", lines).await,
                number("SUM(CASE WHEN list_price IS NULL THEN price_paid ELSE list_price END)", lines).await,
                number("SUM(cost)", "purchases").await,
                number("SUM(tax)", "purchases").await,
                number("SUM(amount)", "refunds").await,
            ],
            counts: [number("COUNT(*)", "purchases").await, number("COUNT(*)", "refunds").await],
        }
    }
}
