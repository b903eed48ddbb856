//! Decides which subjects of a paid order are granted.

use std::collections::BTreeSet;

use jishu_entity::order::OrderReason;
use jishu_entity::purchase::PurchaseType;
use jishu_entity::user::UserStatus;
use jishu_entity::{SubjectId, course, entitlement, order_line, subject};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};

use super::work::OrderWork;
use crate::error::{Error, Fault};
use crate::pricing::{Quote, QuoteLine, discount};
use crate::purchase::{self, PaidSubjects, Selection};
use crate::tax::{TaxPolicy, TaxRate};
use uuid::Uuid;

/// The subjects that a paid order grants, and the reason why other subjects of the order are not granted.
pub(super) struct GrantPlan {
    /// The subjects to grant. None if the order grants no subject.
    pub(super) paid: Option<PaidSubjects>,
    /// The price of the subjects that are not granted, in minor units. It goes back to the buyer.
    pub(super) rest: i64,
    /// The reason why the first of the refused subjects is not granted, or `PriceChanged` if late money grants no
    /// subject because of the price. None if all subjects are granted.
    pub(super) reason: Option<OrderReason>,
}

impl OrderWork<'_> {
    /// Plans the grant of the order. Leaves out subjects that the buyer owns or that are no longer sold, and all
    /// subjects if the buyer's account is not active. `is_late` means that the money came after the order expired or
    /// was cancelled. Then the order is granted only if the remaining subjects do not cost more now.
    pub(super) async fn plan(&self, is_late: bool) -> Result<GrantPlan, Fault> {
        let lines = order_line::Entity::find()
            .filter(order_line::Column::OrderId.eq(self.order.id))
            .order_by_asc(order_line::Column::SubjectId)
            .all(self.transaction)
            .await?;
        let ids = lines.iter().map(|line| line.subject_id);
        let subjects = subject::Entity::find()
            .filter(subject::Column::Id.is_in(ids))
            .order_by_asc(subject::Column::Id)
            .all(self.transaction)
            .await?;
        let course = course::Entity::find_by_id(self.order.course_id).one(self.transaction).await?;
        let course = course.ok_or_else(|| Fault::missing(format_args!("course {}", self.order.course_id)))?;
        let (owned, lapsed) =
            purchase::owned_and_lapsed(self.transaction, self.order.user_id, &subjects, self.now).await?;

        let mut reason = None;
        let mut kept = Vec::new();
        for line in &lines {
            let subject = subjects.iter().find(|subject| subject.id == line.subject_id);
            let is_owned = owned.iter().any(|owned| owned.subject_id == line.subject_id);
            let is_sold = course.archived_at.is_none() && subject.is_some_and(purchase::is_sold);
            let refused = if self.buyer != UserStatus::Active {
                Some(OrderReason::BuyerInactive)
            } else if is_owned {
                Some(OrderReason::AlreadyOwned)
            } else if !is_sold {
                Some(OrderReason::Archived)
            } else {
                None
            };
            match refused {
                Some(refused) => reason = reason.or(Some(refused)),
                None => kept.push(line),
            }
        }
        if is_late && !kept.is_empty() && self.costs_more(&kept).await? {
            reason = Some(OrderReason::PriceChanged);
            kept.clear();
        }
        let price: i64 = kept.iter().map(|line| line.price).sum();
        let paid = match kept.is_empty() {
            true => None,
            false => Some(self.paid_subjects(course, &kept, subjects, lapsed)?),
        };
        Ok(GrantPlan { paid, rest: self.order.amount - price, reason })
    }

    /// Tells whether these lines of the order cost more now, or can no longer be bought as this kind of purchase, or in
    /// the currency of the order.
    async fn costs_more(&self, kept: &[&order_line::Model]) -> Result<bool, Fault> {
        let ids: Vec<SubjectId> = kept.iter().map(|line| line.subject_id).collect();
        let (purchase_type, subject_ids) = match self.order.purchase_type {
            PurchaseType::FullBundle => (PurchaseType::FullBundle, Vec::new()),
            _ if ids.len() == 1 => (PurchaseType::SingleSubject, ids.clone()),
            _ => (PurchaseType::MultipleSubjects, ids.clone()),
        };
        let selection = Selection { course_id: self.order.course_id, purchase_type, subject_ids };
        let buyer = Some(self.order.user_id);
        let resolved =
            purchase::resolve(self.transaction, buyer, &selection, &self.tools.tax, self.now).await;
        let quote = match resolved {
            Ok(resolved) => resolved.quote,
            Err(Error::Refused(_)) => return Ok(true),
            Err(Error::Failed(fault)) => return Err(fault),
        };
        let of_order = quote.lines.iter().filter(|line| ids.contains(&line.subject_id));
        let (count, price) = of_order.fold((0, 0), |(count, sum), line| (count + 1, sum + line.price));
        let before: i64 = kept.iter().map(|line| line.price).sum();
        Ok(count < ids.len() || quote.currency != self.order.currency || price > before)
    }

    /// Collects the rows and amounts for the purchase of these lines, at the prices of the order.
    fn paid_subjects(
        &self,
        course: course::Model,
        kept: &[&order_line::Model],
        mut subjects: Vec<subject::Model>,
        mut lapsed: Vec<entitlement::Model>,
    ) -> Result<PaidSubjects, Fault> {
        let order = &self.order;
        let ids: BTreeSet<SubjectId> = kept.iter().map(|line| line.subject_id).collect();
        subjects.retain(|subject| ids.contains(&subject.id));
        lapsed.retain(|lapsed| ids.contains(&lapsed.subject_id));
        let sum = |amount: fn(&order_line::Model) -> i64| kept.iter().map(|line| amount(line)).sum::<i64>();
        let (subtotal, total, tax) =
            (sum(|line| line.list_price), sum(|line| line.price), sum(|line| line.tax));
        let rate = u16::try_from(order.tax_basis_points).unwrap_or_default();
        let tax_policy = TaxPolicy {
            label: order.tax_label.clone(),
            rate: TaxRate::from_basis_points(rate),
            is_included: order.is_tax_included,
        };
        let quote = Quote {
            course_id: course.id,
            currency: order.currency.clone(),
            lines: kept
                .iter()
                .map(|line| QuoteLine {
                    subject_id: line.subject_id,
                    list_price: line.list_price,
                    price: line.price,
                    tax: line.tax,
                    test_cards: line.test_cards,
                })
                .collect(),
            already_owned: Vec::new(),
            subtotal,
            discount: discount(subtotal, total, tax, order.is_tax_included),
            tax,
            tax_policy: tax_policy.into(),
            total,
        };
        let reference = Uuid::parse_str(&order.reference)
            .map_err(|_| Fault::Inconsistent(format!("the reference of order {} is not a UUID", order.id)))?;
        let purchase_type = order.purchase_type;
        Ok(PaidSubjects { buyer: order.user_id, course, purchase_type, quote, subjects, lapsed, reference })
    }
}
