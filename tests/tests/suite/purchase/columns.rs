//! The columns that a purchase fills.

use std::sync::Arc;

use jishu_entity::{entitlement, purchase, purchase_request, purchase_request_owned};
use jishu_tests::{TestApp, on_each_database};
use sea_orm::{EntityName, EntityTrait, IdenStatic, Iterable};

use super::World;

on_each_database!(a_purchase_leaves_the_same_columns_empty);

/// PostgreSQL inserts a purchase with another statement than SQLite and MariaDB. All statements must fill the same
/// columns.
async fn a_purchase_leaves_the_same_columns_empty(app: Arc<TestApp>) {
    let course = app.course(&["Physics", "Chemistry"]).valid_for_days(30).create(&app).await;
    let world = World::of(&app, course).await;
    assert_eq!(world.asha.buy(world.course.subject(0)).await.outcome().0, "CREATED");
    assert_eq!(world.asha.buy(world.course.several(&[0, 1])).await.outcome().0, "CREATED");
    assert_eq!(empty_columns::<purchase::Entity>(&app).await, [""; 0]);
    assert_eq!(empty_columns::<entitlement::Entity>(&app).await, ["ended_at", "end_reason"]);
    assert_eq!(empty_columns::<purchase_request::Entity>(&app).await, [""; 0]);
    assert_eq!(app.number("SELECT COUNT(*) FROM purchase_request_owned").await, 1);
    assert_eq!(empty_columns::<purchase_request_owned::Entity>(&app).await, [""; 0]);
}

/// Returns the columns of a table that are NULL in any row.
async fn empty_columns<E>(app: &TestApp) -> Vec<String>
where
    E: EntityTrait + EntityName,
    E::Column: Iterable + IdenStatic,
{
    let mut empty = Vec::new();
    for column in E::Column::iter() {
        let (table, column) = (E::default().table_name().to_owned(), column.as_str());
        if app.number(&format!("SELECT COUNT(*) FROM {table} WHERE {column} IS NULL")).await > 0 {
            empty.push(column.to_owned());
        }
    }
    empty
}
