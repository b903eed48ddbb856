//! `purchase`: the rows it creates, its responses and its refusals.

mod cards;
mod columns;
mod keys;
mod owned;
mod price;
mod refusals;

use std::sync::Arc;

use jishu_tests::{Client, TestApp, TestCourse};

/// A learner and a course whose subjects cost 100.00 each and have 50 cards each.
struct World {
    app: Arc<TestApp>,
    course: TestCourse,
    asha: Client,
}

impl World {
    /// Creates a learner and a course with these subjects.
    async fn new(app: &Arc<TestApp>, subjects: &[&str]) -> Self {
        let course = app.course(subjects).create(app).await;
        Self::of(app, course).await
    }

    /// Creates a learner and a course with these subjects. The course is also sold as a bundle, at a price in minor
    /// units.
    async fn with_bundle(app: &Arc<TestApp>, subjects: &[&str], price: i64) -> Self {
        let course = app.course(subjects).bundle(price).create(app).await;
        Self::of(app, course).await
    }

    async fn of(app: &Arc<TestApp>, course: TestCourse) -> Self {
        Self { app: Arc::clone(app), course, asha: app.learner("Asha").await }
    }

    async fn no_card_is_doubled(&self) {
        let doubled = "SELECT COUNT(*) FROM (SELECT purchase_id FROM mock_test_attempts \
                       GROUP BY purchase_id, subject_id, test_number HAVING COUNT(*) > 1) doubled";
        assert_eq!(self.app.number(doubled).await, 0);
    }

    async fn one_purchase_costs_the_sum_of_its_prices(&self) {
        let purchases = "SELECT COUNT(*) FROM purchases p WHERE p.cost = \
                         (SELECT SUM(e.price_paid) FROM entitlements e WHERE e.purchase_id = p.id)";
        assert_eq!(self.app.number(purchases).await, 1);
    }
}
