//! The learners who watch their cards, and the other node that reports changes of these cards.

use std::path::Path;
use std::sync::Arc;

use jishu_entity::{MockTestAttemptId, UserId};
use jishu_service::Services;
use jishu_service::events::{Event, append};
use jishu_tests::Socket;
use jishu_tests::bench_data::{
    add_course, add_learners, add_subjects, first_card, gather_statistics, learner_token,
    purchase_subject_for_all,
};
use jishu_tests::bench_server::bench_services;
use sea_orm::TransactionTrait;

use crate::WATCHERS;

const WATCH_CARDS: &str =
    "subscription { mockTestAttemptChanged { id testNumber status maxAttempts attemptsUsed } }";

/// Another node on the same database.
pub(crate) struct Node {
    services: Services,
    learners: Vec<(UserId, MockTestAttemptId)>,
}

impl Node {
    /// Creates the learners, each with one card.
    pub(crate) async fn prepare(url: &str, folder: &Path) -> Self {
        let services = bench_services(url, folder, Arc::new(|_: &str| {})).await;
        let course = add_course(&services).await;
        let subject = add_subjects(&services, course, 1, 1).await[0];
        let ids = add_learners(&services, WATCHERS).await;
        purchase_subject_for_all(&services, &ids, course, subject).await;
        gather_statistics(&services).await;
        let mut learners = Vec::new();
        for id in ids {
            learners.push((id, first_card(&services, id).await));
        }
        Self { services, learners }
    }

    /// Opens a subscription for each learner.
    pub(crate) async fn watch(&self, port: u16) -> Vec<Socket> {
        let mut sockets = Vec::new();
        for (learner, _) in &self.learners {
            let token = learner_token(&self.services, *learner);
            sockets.push(Socket::subscribed(port, &token, WATCH_CARDS).await);
        }
        sockets
    }

    /// Appends one event for the card of each learner in one transaction, as if support had extended all cards.
    pub(crate) async fn append_events(&self) {
        let transaction = self.services.database.writer().begin().await.expect("a transaction");
        for (_, card) in &self.learners {
            let event = Event::CardExtended(*card);
            append(&transaction, self.services.clock.now(), None, event).await.expect("an event");
        }
        transaction.commit().await.expect("it commits");
    }

    pub(crate) async fn close(self) {
        self.services.database.close().await.expect("it closes");
    }
}

/// Receives one message on each socket, and returns the text that the last socket received.
pub(crate) async fn receive_all(sockets: &mut [Socket]) -> String {
    let messages = futures_util::future::join_all(sockets.iter_mut().map(Socket::hear_text)).await;
    messages.into_iter().next_back().expect("a socket")
}
