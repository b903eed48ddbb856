//! Batches: what each item of a list needs, in one statement for the whole list.
//!
//! Made anew for each request and without a cache, so that a mutation's selection sees what it wrote.

use std::collections::HashMap;
use std::sync::Arc;

use async_graphql::dataloader::{DataLoader, Loader};
use jishu_entity::{
    MockTestAttemptId, PurchaseId, SubjectId, TestSessionId, UserId, entitlement, mock_test_attempt,
    purchase, test_session,
};
use rust_decimal::Decimal;
use sea_orm::DbErr;

use crate::service::{self, Services};

/// The loaders of one request.
pub struct Loaders {
    pub(super) purchase: DataLoader<PurchaseLoader>,
    pub(super) entitlements: DataLoader<EntitlementsLoader>,
    pub(super) live_entitlement: DataLoader<LiveEntitlementLoader>,
    pub(super) card: DataLoader<CardLoader>,
    pub(super) session: DataLoader<SessionLoader>,
    pub(super) open_session: DataLoader<OpenSessionLoader>,
    pub(super) scores: DataLoader<ScoresLoader>,
    pub(super) percentile: DataLoader<PercentileLoader>,
}

impl Loaders {
    /// For one request.
    #[must_use]
    pub fn new(services: &Services) -> Self {
        Self {
            purchase: DataLoader::new(PurchaseLoader(services.clone()), tokio::spawn),
            entitlements: DataLoader::new(EntitlementsLoader(services.clone()), tokio::spawn),
            live_entitlement: DataLoader::new(LiveEntitlementLoader(services.clone()), tokio::spawn),
            card: DataLoader::new(CardLoader(services.clone()), tokio::spawn),
            session: DataLoader::new(SessionLoader(services.clone()), tokio::spawn),
            open_session: DataLoader::new(OpenSessionLoader(services.clone()), tokio::spawn),
            scores: DataLoader::new(ScoresLoader(services.clone()), tokio::spawn),
            percentile: DataLoader::new(PercentileLoader(services.clone()), tokio::spawn),
        }
    }
}

/// Keys come with their owner; a batch has one statement for each owner in it, which is one.
fn by_owner<K: Copy>(keys: &[(UserId, K)]) -> HashMap<UserId, Vec<K>> {
    let mut owners: HashMap<UserId, Vec<K>> = HashMap::new();
    for (owner, key) in keys {
        owners.entry(*owner).or_default().push(*key);
    }
    owners
}

/// Purchases by id.
pub(super) struct PurchaseLoader(Services);

impl Loader<(UserId, PurchaseId)> for PurchaseLoader {
    type Value = purchase::Model;
    type Error = Arc<DbErr>;

    async fn load(
        &self,
        keys: &[(UserId, PurchaseId)],
    ) -> Result<HashMap<(UserId, PurchaseId), Self::Value>, Self::Error> {
        let mut found = HashMap::with_capacity(keys.len());
        for (owner, ids) in by_owner(keys) {
            let rows = service::purchase::by_ids(&self.0, owner, ids).await?;
            found.extend(rows.into_iter().map(|row| ((owner, row.id), row)));
        }
        Ok(found)
    }
}

/// What purchases gave.
pub(super) struct EntitlementsLoader(Services);

impl Loader<(UserId, PurchaseId)> for EntitlementsLoader {
    type Value = Vec<entitlement::Model>;
    type Error = Arc<DbErr>;

    async fn load(
        &self,
        keys: &[(UserId, PurchaseId)],
    ) -> Result<HashMap<(UserId, PurchaseId), Self::Value>, Self::Error> {
        let mut found: HashMap<_, Vec<_>> = HashMap::with_capacity(keys.len());
        for (owner, ids) in by_owner(keys) {
            for row in service::purchase::entitlements(&self.0, owner, ids).await? {
                found.entry((owner, row.purchase_id)).or_default().push(row);
            }
        }
        Ok(found)
    }
}

/// Live entitlements by subject.
pub(super) struct LiveEntitlementLoader(Services);

impl Loader<(UserId, SubjectId)> for LiveEntitlementLoader {
    type Value = entitlement::Model;
    type Error = Arc<DbErr>;

    async fn load(
        &self,
        keys: &[(UserId, SubjectId)],
    ) -> Result<HashMap<(UserId, SubjectId), Self::Value>, Self::Error> {
        let mut found = HashMap::with_capacity(keys.len());
        for (owner, subjects) in by_owner(keys) {
            let rows = service::entitlement::live(&self.0, owner, subjects).await?;
            found.extend(rows.into_iter().map(|row| ((owner, row.subject_id), row)));
        }
        Ok(found)
    }
}

/// Test cards by id.
pub(super) struct CardLoader(Services);

impl Loader<(UserId, MockTestAttemptId)> for CardLoader {
    type Value = mock_test_attempt::Model;
    type Error = Arc<DbErr>;

    async fn load(
        &self,
        keys: &[(UserId, MockTestAttemptId)],
    ) -> Result<HashMap<(UserId, MockTestAttemptId), Self::Value>, Self::Error> {
        let mut found = HashMap::with_capacity(keys.len());
        for (owner, ids) in by_owner(keys) {
            let rows = service::card::by_ids(&self.0, owner, ids).await?;
            found.extend(rows.into_iter().map(|row| ((owner, row.id), row)));
        }
        Ok(found)
    }
}

/// Sittings by id.
pub(super) struct SessionLoader(Services);

impl Loader<(UserId, TestSessionId)> for SessionLoader {
    type Value = test_session::Model;
    type Error = Arc<DbErr>;

    async fn load(
        &self,
        keys: &[(UserId, TestSessionId)],
    ) -> Result<HashMap<(UserId, TestSessionId), Self::Value>, Self::Error> {
        let mut found = HashMap::with_capacity(keys.len());
        for (owner, ids) in by_owner(keys) {
            let rows = service::session::by_ids(&self.0, owner, ids).await?;
            found.extend(rows.into_iter().map(|row| ((owner, row.id), row)));
        }
        Ok(found)
    }
}

/// The open sittings of test cards.
pub(super) struct OpenSessionLoader(Services);

impl Loader<(UserId, MockTestAttemptId)> for OpenSessionLoader {
    type Value = test_session::Model;
    type Error = Arc<DbErr>;

    async fn load(
        &self,
        keys: &[(UserId, MockTestAttemptId)],
    ) -> Result<HashMap<(UserId, MockTestAttemptId), Self::Value>, Self::Error> {
        let mut found = HashMap::with_capacity(keys.len());
        for (owner, ids) in by_owner(keys) {
            let rows = service::session::open_of_cards(&self.0, owner, ids).await?;
            found.extend(rows.into_iter().map(|row| ((owner, row.mock_test_attempt_id), row)));
        }
        Ok(found)
    }
}

/// The scores of the sittings of test cards.
pub(super) struct ScoresLoader(Services);

impl Loader<(UserId, MockTestAttemptId)> for ScoresLoader {
    type Value = Vec<i32>;
    type Error = Arc<DbErr>;

    async fn load(
        &self,
        keys: &[(UserId, MockTestAttemptId)],
    ) -> Result<HashMap<(UserId, MockTestAttemptId), Self::Value>, Self::Error> {
        let mut found = HashMap::with_capacity(keys.len());
        for (owner, ids) in by_owner(keys) {
            let rows = service::session::scores_of_cards(&self.0, owner, ids).await?;
            found.extend(rows.into_iter().map(|(card, scores)| ((owner, card), scores)));
        }
        Ok(found)
    }
}

/// Where sittings stand among all of their paper.
pub(super) struct PercentileLoader(Services);

impl Loader<(UserId, TestSessionId)> for PercentileLoader {
    type Value = Decimal;
    type Error = Arc<DbErr>;

    async fn load(
        &self,
        keys: &[(UserId, TestSessionId)],
    ) -> Result<HashMap<(UserId, TestSessionId), Self::Value>, Self::Error> {
        let mut found = HashMap::with_capacity(keys.len());
        for (owner, ids) in by_owner(keys) {
            let percentiles = service::ranking::percentiles(&self.0, owner, ids).await?;
            found.extend(percentiles.into_iter().map(|(id, percentile)| ((owner, id), percentile)));
        }
        Ok(found)
    }
}
