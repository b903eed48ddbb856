//! The history of the schema.
//!
//! Every migration runs on SQLite, PostgreSQL, MariaDB and MySQL. The module [`portable`] has the types of columns that
//! differ between the databases. A released migration never changes: each change of the schema is a new file.
//! Statements that change the schema go through [`steps`], so that the next run can complete an interrupted run.

use sea_orm_migration::prelude::async_trait;
pub use sea_orm_migration::prelude::{MigrationTrait, MigratorTrait};

mod m20261123_000001_people;
mod m20261123_000002_catalogue;
mod m20261123_000003_purchases;
mod m20261125_000004_question_bank;
mod m20261125_000005_sittings;
mod m20261128_000006_question_corrections;
mod m20261128_000007_sign_in;
mod m20261128_000008_checks;
mod m20261129_000009_shop;
mod m20261129_000010_outbox;
mod m20261129_000011_short_answers;
mod m20261129_000012_pictures;
mod m20261129_000013_sign_in_ways;
mod m20261129_000014_people_who_leave;
mod m20261129_000015_orders;
mod m20261129_000016_expand_refund_repeats;
mod m20261130_000017_expand_pending_identities;
mod portable;
mod steps;

pub use steps::record;

/// Returns whether the name of a migration contains `_expand_`. A migration with this word only adds tables, indexes,
/// or columns that are nullable or have a default. A version of jishu without that migration still works with the
/// migrated database. A migration that breaks older versions has `_contract_` in its name. Migrations from before this
/// rule have neither word.
#[must_use]
pub fn is_expanding(name: &str) -> bool {
    name.contains("_expand_")
}

/// All migrations, oldest first.
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261123_000001_people::Migration),
            Box::new(m20261123_000002_catalogue::Migration),
            Box::new(m20261123_000003_purchases::Migration),
            Box::new(m20261125_000004_question_bank::Migration),
            Box::new(m20261125_000005_sittings::Migration),
            Box::new(m20261128_000006_question_corrections::Migration),
            Box::new(m20261128_000007_sign_in::Migration),
            Box::new(m20261128_000008_checks::Migration),
            Box::new(m20261129_000009_shop::Migration),
            Box::new(m20261129_000010_outbox::Migration),
            Box::new(m20261129_000011_short_answers::Migration),
            Box::new(m20261129_000012_pictures::Migration),
            Box::new(m20261129_000013_sign_in_ways::Migration),
            Box::new(m20261129_000014_people_who_leave::Migration),
            Box::new(m20261129_000015_orders::Migration),
            Box::new(m20261129_000016_expand_refund_repeats::Migration),
            Box::new(m20261130_000017_expand_pending_identities::Migration),
        ]
    }
}
