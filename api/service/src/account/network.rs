//! The networks in which sessions of users began or continued. If strangers spend the budget of failed sign-ins of an
//! account, its owner can still sign in from these networks.

use chrono::{DateTime, TimeDelta, Utc};
use jishu_entity::{SignInNetworkId, UserId, sign_in_network, user};
use sea_orm::sea_query::{Expr, JoinType};
use sea_orm::{
    ActiveModelTrait, ActiveValue::NotSet, ActiveValue::Set, ColumnTrait, DatabaseTransaction, DbErr,
    EntityTrait, QueryFilter, QueryOrder, QuerySelect, RelationDef,
};

use crate::Services;
use crate::auth::Secrets;
use crate::limit::ClientAddress;

/// Maximum number of networks that are stored for one account. The networks that the account used last are kept.
const MAX_NETWORKS_PER_USER: u64 = 20;
/// Time for which a network counts after the last time when a session of the account began or continued there. Then
/// its row is deleted.
pub(super) const NETWORK_RETENTION: TimeDelta = TimeDelta::days(90);
/// Minimum time between two updates of the stored time at which an account was last used in a network.
const MIN_SEEN_INTERVAL: TimeDelta = TimeDelta::days(1);

/// The purpose from which [`Secrets::codes`] derives the codes of networks. The database stores the codes and not the
/// addresses.
const CODE_PURPOSE: &str = "network of a sign-in";

/// The use of an account from a network, when a session begins or continues.
#[derive(Clone)]
pub(super) struct NetworkVisit {
    client: ClientAddress,
    /// The codes of the network, one for each live signing key. The code of the current key comes first.
    networks: Vec<String>,
    now: DateTime<Utc>,
    /// Whether this node recorded the use of the account from this network less than a day ago.
    is_recorded: bool,
}

impl NetworkVisit {
    /// Makes a visit of this client at this time, which counts as not recorded yet.
    pub(super) fn new(services: &Services, client: ClientAddress, now: DateTime<Utc>) -> Self {
        Self { client, networks: networks(&services.secrets, client), now, is_recorded: false }
    }

    /// Marks the visit as recorded if this node recorded the use of the account from this network less than a day
    /// ago. Then [`NetworkVisit::record`] and [`NetworkVisit::remember`] do nothing. `email` is the address of the
    /// account.
    pub(super) fn unless_recorded(mut self, services: &Services, email: &str) -> Self {
        self.is_recorded = services.limits.sign_in.has_recorded(self.client, email, self.now);
        self
    }

    /// Stores the network for the user, in the transaction of the session. If the network is stored already, updates
    /// the time of its last use, at most once a day, and replaces the code of an earlier key. Deletes the networks with
    /// the oldest uses if there are too many.
    pub(super) async fn record(&self, transaction: &DatabaseTransaction, user: UserId) -> Result<(), DbErr> {
        if self.is_recorded {
            return Ok(());
        }
        let known: Vec<(SignInNetworkId, String, DateTime<Utc>)> = sign_in_network::Entity::find()
            .select_only()
            .columns([
                sign_in_network::Column::Id,
                sign_in_network::Column::Network,
                sign_in_network::Column::SeenAt,
            ])
            .filter(sign_in_network::Column::UserId.eq(user))
            .order_by_desc(sign_in_network::Column::SeenAt)
            .into_tuple()
            .all(transaction)
            .await?;
        let current = self.networks.first().map(String::as_str).unwrap_or_default();
        let of_current_key = known.iter().find(|(_, network, _)| network == current);
        // After a rotation of the signing keys, the stored code may be the code of an earlier key.
        let of_any_key = || known.iter().find(|(_, network, _)| self.networks.contains(network));
        if let Some((id, network, seen_at)) = of_current_key.or_else(of_any_key) {
            if network == current && self.now - *seen_at < MIN_SEEN_INTERVAL {
                return Ok(());
            }
            return sign_in_network::Entity::update_many()
                .col_expr(sign_in_network::Column::Network, Expr::value(current))
                .col_expr(sign_in_network::Column::SeenAt, Expr::value(self.now))
                .filter(sign_in_network::Column::Id.eq(*id))
                .exec(transaction)
                .await
                .map(drop);
        }
        let kept = usize::try_from(MAX_NETWORKS_PER_USER).unwrap_or(usize::MAX) - 1;
        let forgotten: Vec<_> = known.iter().skip(kept).map(|(id, ..)| *id).collect();
        if !forgotten.is_empty() {
            let delete = sign_in_network::Entity::delete_many();
            delete.filter(sign_in_network::Column::Id.is_in(forgotten)).exec(transaction).await?;
        }
        let row = sign_in_network::ActiveModel {
            id: NotSet,
            user_id: Set(user),
            network: Set(current.to_owned()),
            seen_at: Set(self.now),
        };
        row.insert(transaction).await?;
        Ok(())
    }

    /// Notes in the memory of this node that the visit was recorded. The caller must have committed the transaction of
    /// the visit. Does nothing if the visit was marked as recorded.
    pub(super) fn remember(&self, services: &Services, email: &str) {
        if !self.is_recorded {
            services.limits.sign_in.remember(self.client, email, self.now);
        }
    }
}

/// Returns whether the account with this e-mail address was used from the network of the client within the last 90
/// days. The e-mail address is in its stored form. Runs the same statement whether or not the account exists.
pub(super) async fn is_known(services: &Services, client: ClientAddress, email: &str) -> Result<bool, DbErr> {
    // No account has an address with a NUL character, and PostgreSQL refuses a query that contains such text.
    if email.contains('\0') {
        return Ok(false);
    }
    let since = services.clock.now() - NETWORK_RETENTION;
    let found = sign_in_network::Entity::find()
        .join(JoinType::InnerJoin, of_user())
        .filter(user::Column::Email.eq(email))
        .filter(sign_in_network::Column::Network.is_in(networks(&services.secrets, client)))
        .filter(sign_in_network::Column::SeenAt.gt(since))
        .one(services.database.reader())
        .await?;
    Ok(found.is_some())
}

fn of_user() -> RelationDef {
    sign_in_network::Entity::belongs_to(user::Entity)
        .from(sign_in_network::Column::UserId)
        .to(user::Column::Id)
        .into()
}

/// Returns the codes of the client's network, one for each live signing key. The code of the current key comes first.
fn networks(secrets: &Secrets, client: ClientAddress) -> Vec<String> {
    let network = client.network().to_string();
    let code = |code: [u8; 32]| code.iter().map(|byte| format!("{byte:02x}")).collect();
    secrets.codes(CODE_PURPOSE, network.as_bytes()).map(code).collect()
}
