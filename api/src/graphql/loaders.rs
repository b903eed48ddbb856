//! Batches: what each item of a list needs, in one statement for the whole list.
//!
//! Made anew for each request and without a cache, so that a mutation's selection sees what it wrote.

use std::collections::HashMap;
use std::sync::Arc;

use async_graphql::dataloader::{DataLoader, Loader};
use jishu_entity::{PurchaseId, SubjectId, UserId, entitlement, purchase};
use sea_orm::DbErr;

use crate::service::{self, Services};

/// The loaders of one request.
pub struct Loaders {
    pub(super) purchase: DataLoader<PurchaseLoader>,
    pub(super) entitlements: DataLoader<EntitlementsLoader>,
    pub(super) live_entitlement: DataLoader<LiveEntitlementLoader>,
}

impl Loaders {
    /// For one request.
    #[must_use]
    pub fn new(services: &Services) -> Self {
        Self {
            purchase: DataLoader::new(PurchaseLoader(services.clone()), tokio::spawn),
            entitlements: DataLoader::new(EntitlementsLoader(services.clone()), tokio::spawn),
            live_entitlement: DataLoader::new(LiveEntitlementLoader(services.clone()), tokio::spawn),
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
