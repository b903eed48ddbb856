//! Erases data that is stored for a limited time: successors of refresh tokens, networks of sign-ins, links in mails,
//! and sign-ins that wait for a second factor or for an issuer.

use std::convert::Infallible;
use std::time::Duration;

use jishu_entity::{AccountLinkId, OidcLoginId, RefreshTokenId, SignInChallengeId, SignInNetworkId};
use jishu_entity::{account_link, oidc_login, refresh_token, sign_in_challenge, sign_in_network};
use jishu_service_macros::service_call;
use sea_orm::{ColumnTrait, DbErr, EntityTrait, QueryFilter, QuerySelect};

use super::{hashes, links, network, oidc, refresh, second_factor};
use crate::Services;
use crate::database::WritePolicy;
use crate::error::{Error, Fault};

/// Interval between two searches for rows to erase.
const CLEANING_INTERVAL: Duration = Duration::from_secs(30);
/// Number of rounds of cleaning from one search for password hashes of the old system to the next. The search is
/// rare, because it reads all users.
const CLEANINGS_PER_HASH_SEARCH: u32 = 20;
/// Maximum number of rows of each kind that one transaction erases.
const MAX_ROWS_PER_TRANSACTION: usize = 1_000;

/// Erases old rows every 30 seconds until the task is dropped. Also encrypts second factors of older signing keys
/// anew, and measures the methods of stored password hashes of the old system.
#[service_call]
pub async fn keep_clean(services: Services) {
    let mut ticks = tokio::time::interval(CLEANING_INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    for cleaning in 0_u32.. {
        ticks.tick().await;
        if let Err(error) = erase_old(&services).await {
            tracing::warn!(%error, "old data of sessions, sign-ins and links could not be erased; the server will retry");
        }
        if let Err(error) =
            second_factor::reseal_second_factors(&services, MAX_ROWS_PER_TRANSACTION as u64).await
        {
            tracing::warn!(%error, "second factors could not be encrypted anew; the server will retry");
        }
        // The first round searches for hashes too. The server is listening by then, so measuring a slow method does
        // not delay its start.
        if cleaning % CLEANINGS_PER_HASH_SEARCH == 0
            && let Ok(methods) = hashes::password_methods(&services.database).await
        {
            let _ = services.passwords.expect_methods(methods).await;
        }
    }
}

/// Erases data that is no longer used, and returns the number of erased items. The function erases:
///
/// - successors of refresh tokens, after the time for which the server returns them again
/// - networks from which the account was not used for 90 days
/// - links that expired at least a day ago
/// - expired sign-ins that waited for a second factor or for an issuer
///
/// # Errors
/// Returns the database's error.
#[service_call("account.erase_old")]
pub async fn erase_old(services: &Services) -> Result<usize, Fault> {
    let policy = WritePolicy::idempotent("erase old");
    let mut erased = 0;
    loop {
        let tokens = refresh::with_old_successor(services, MAX_ROWS_PER_TRANSACTION as u64).await?;
        let networks = old_networks(services).await?;
        let links = links::old(services, MAX_ROWS_PER_TRANSACTION as u64).await?;
        let challenges = second_factor::old_challenges(services, MAX_ROWS_PER_TRANSACTION as u64).await?;
        let logins = oidc::old_logins(services, MAX_ROWS_PER_TRANSACTION as u64).await?;
        let counts = [tokens.len(), networks.len(), links.len(), challenges.len(), logins.len()];
        let found = counts.into_iter().max().unwrap_or_default();
        erased += counts.into_iter().sum::<usize>();
        if found > 0 {
            let erase = EraseOldRows { tokens, networks, links, challenges, logins };
            services
                .database
                .write(policy, erase, |transaction, erase| {
                    Box::pin(async move {
                        let tokens = erase.tokens.iter().copied();
                        refresh::without_successor()
                            .filter(refresh_token::Column::Id.is_in(tokens))
                            .exec(transaction)
                            .await?;
                        let networks = erase.networks.iter().copied();
                        let delete = sign_in_network::Entity::delete_many();
                        delete.filter(sign_in_network::Column::Id.is_in(networks)).exec(transaction).await?;
                        let links = erase.links.iter().copied();
                        let delete = account_link::Entity::delete_many();
                        delete.filter(account_link::Column::Id.is_in(links)).exec(transaction).await?;
                        let challenges = erase.challenges.iter().copied();
                        let delete = sign_in_challenge::Entity::delete_many();
                        let delete = delete.filter(sign_in_challenge::Column::Id.is_in(challenges));
                        delete.exec(transaction).await?;
                        let logins = erase.logins.iter().copied();
                        let delete = oidc_login::Entity::delete_many();
                        delete.filter(oidc_login::Column::Id.is_in(logins)).exec(transaction).await?;
                        Ok::<_, Error<Infallible>>(())
                    })
                })
                .await?;
        }
        if found < MAX_ROWS_PER_TRANSACTION {
            return Ok(erased);
        }
    }
}

struct EraseOldRows {
    tokens: Vec<RefreshTokenId>,
    networks: Vec<SignInNetworkId>,
    links: Vec<AccountLinkId>,
    challenges: Vec<SignInChallengeId>,
    logins: Vec<OidcLoginId>,
}

async fn old_networks(services: &Services) -> Result<Vec<SignInNetworkId>, DbErr> {
    sign_in_network::Entity::find()
        .select_only()
        .column(sign_in_network::Column::Id)
        .filter(sign_in_network::Column::SeenAt.lte(services.clock.now() - network::NETWORK_RETENTION))
        .limit(MAX_ROWS_PER_TRANSACTION as u64)
        .into_tuple()
        .all(services.database.reader())
        .await
}
