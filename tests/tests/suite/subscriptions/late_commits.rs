//! A change that is committed after the first watcher of a node has begun, although its audit event was appended before
//! many other events.

use std::sync::Arc;
use std::time::Duration;

use jishu_entity::{MockTestAttemptId, UserId, audit_event};
use jishu_service::clock::Clock;
use jishu_service::events::{self, Event, WatchedChange};
use jishu_tests::{Backend, TestApp, on_each_database};
use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::{EntityTrait, TransactionTrait};

use super::buy;

on_each_database!(a_change_that_is_open_while_the_first_watcher_begins_is_delivered);

/// The number of events that are appended after the event of the open transaction. One statement of the server reads
/// 1,000 events.
const LATER_EVENTS: i64 = 1_001;
/// Maximum time until the watcher has the change. The server reads new events every 500 ms.
const MAX_DELIVERY_TIME: Duration = Duration::from_secs(2);

/// Does nothing on SQLite. SQLite has one writer, so no event can be committed while another transaction is open.
async fn a_change_that_is_open_while_the_first_watcher_begins_is_delivered(app: Arc<TestApp>) {
    if app.backend == Backend::Sqlite {
        return;
    }
    let course = app.course(&["Physics"]).cards(1).create(&app).await;
    let asha = app.learner("Asha").await;
    buy(&asha, &course, &[0]).await;
    let card = MockTestAttemptId(app.number("SELECT id FROM mock_test_attempts").await);
    let owner = UserId(app.number("SELECT user_id FROM mock_test_attempts").await);
    let now = app.clock.now();

    let open = app.connection().begin().await.unwrap();
    events::append(&open, now, None, Event::CardExtended(card)).await.unwrap();
    // The cards of these events do not exist, so nobody receives the events.
    let later = (1..=LATER_EVENTS).map(|number| audit_event::ActiveModel {
        id: NotSet,
        at: Set(now),
        actor_id: Set(None),
        action: Set("test_session.closed".to_owned()),
        target_type: Set("mock_test_attempts".to_owned()),
        target_id: Set(card.0 + number),
        state_before: Set(None),
        state_after: Set(None),
    });
    audit_event::Entity::insert_many(later).exec_without_returning(app.connection()).await.unwrap();

    assert_eq!(app.services.events.watchers(), 0);
    let watch = app.services.events.watch(owner, None).await.unwrap();
    open.commit().await.unwrap();
    let changes = tokio::time::timeout(MAX_DELIVERY_TIME, watch.changes())
        .await
        .expect("the change of the transaction that was open is delivered");
    assert!(changes.contains(&WatchedChange::Card(card)), "{changes:?}");
}
