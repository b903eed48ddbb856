//! Erases what is stored only for a while: the successors of refresh tokens, and the networks of sign-ins.

use std::time::Duration;

use jishu_entity::{RefreshTokenId, SignInNetworkId, refresh_token, sign_in_network};
use sea_orm::{ColumnTrait, DbErr, EntityTrait, QueryFilter, QuerySelect};

use super::{hashes, network, refresh};
use crate::Services;
use crate::database::WriteOptions;

/// Interval between two searches for rows to erase.
const INTERVAL: Duration = Duration::from_secs(30);
/// Number of these searches between two searches for hashes of the old system, which read all users.
const LOOKS_PER_SEARCH: u32 = 20;
/// Maximum number of rows that one transaction erases.
const BATCH: usize = 1_000;

/// Erases old rows again and again until the task is dropped.
pub async fn keep_clean(services: Services) {
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    for look in 0_u32.. {
        ticks.tick().await;
        if let Err(error) = erase_old(&services).await {
            tracing::warn!(%error, "old successors of refresh tokens could not be erased; the server will retry");
        }
        // The first at once: the server listens already, as one slow method must not keep it from that.
        if look % LOOKS_PER_SEARCH == 0
            && let Ok(methods) = hashes::password_methods(&services.database).await
        {
            let _ = services.passwords.expect(methods).await;
        }
    }
}

/// Erases the successors whose window is over, and networks where the account was not seen for a long time.
/// Returns the number of rows.
///
/// # Errors
/// Returns the database's error.
pub async fn erase_old(services: &Services) -> Result<usize, DbErr> {
    let options =
        WriteOptions { name: "erase old", looks_before_it_writes: true, another_may_be_first: false };
    let mut erased = 0;
    loop {
        let tokens = refresh::with_old_successor(services, BATCH as u64).await?;
        let networks = old_networks(services).await?;
        let found = tokens.len().max(networks.len());
        erased += tokens.len() + networks.len();
        if found > 0 {
            let erase = Erase { tokens, networks };
            services
                .database
                .write(options, erase, |transaction, erase| {
                    Box::pin(async move {
                        let tokens = erase.tokens.iter().copied();
                        refresh::without_successor()
                            .filter(refresh_token::Column::Id.is_in(tokens))
                            .exec(transaction)
                            .await?;
                        let networks = erase.networks.iter().copied();
                        let delete = sign_in_network::Entity::delete_many();
                        delete.filter(sign_in_network::Column::Id.is_in(networks)).exec(transaction).await?;
                        Ok::<_, DbErr>(())
                    })
                })
                .await?;
        }
        if found < BATCH {
            return Ok(erased);
        }
    }
}

struct Erase {
    tokens: Vec<RefreshTokenId>,
    networks: Vec<SignInNetworkId>,
}

async fn old_networks(services: &Services) -> Result<Vec<SignInNetworkId>, DbErr> {
    sign_in_network::Entity::find()
        .select_only()
        .column(sign_in_network::Column::Id)
        .filter(sign_in_network::Column::SeenAt.lte(services.clock.now() - network::KEPT_FOR))
        .limit(BATCH as u64)
        .into_tuple()
        .all(services.database.reader())
        .await
}
