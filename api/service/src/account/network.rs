//! The networks from which accounts signed in. An owner can still sign in from there after strangers have spent the
//! budget of the account.

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

/// Maximum number of networks that are stored for one account. The latest ones are kept.
const MAX_NETWORKS_PER_USER: u64 = 20;
/// Time after which a network is forgotten if the account has not signed in from there again.
pub(super) const NETWORK_RETENTION: TimeDelta = TimeDelta::days(90);
/// Minimum time between two updates of the time at which an account was last seen in a network.
const MIN_SEEN_INTERVAL: TimeDelta = TimeDelta::days(1);

/// The purpose of the codes under which networks are stored.
const CODE_PURPOSE: &str = "network of a sign-in";

/// The use of an account from a network, when a session begins or continues.
#[derive(Clone)]
pub(super) struct NetworkVisit {
    client: ClientAddress,
    /// The codes of the network, one for each live key. The code of the current key comes first.
    networks: Vec<String>,
    now: DateTime<Utc>,
    /// Whether this node recorded the same visit less than a day ago.
    is_recorded: bool,
}

impl NetworkVisit {
    /// Describes a visit that is not recorded yet.
    pub(super) fn new(services: &Services, client: ClientAddress, now: DateTime<Utc>) -> Self {
        Self { client, networks: networks(&services.secrets, client), now, is_recorded: false }
    }

    /// Marks the visit as recorded if this node recorded the same visit less than a day ago. Then
    /// [`NetworkVisit::record`] does nothing.
    pub(super) fn unless_recorded(mut self, services: &Services, email: &str) -> Self {
        self.is_recorded = services.limits.sign_in.has_recorded(self.client, email, self.now);
        self
    }

    /// Records the visit in the transaction of the session.
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
        if let Some((id, _, seen_at)) = known.iter().find(|(_, network, _)| network == current) {
            if self.now - *seen_at < MIN_SEEN_INTERVAL {
                return Ok(());
            }
            return sign_in_network::Entity::update_many()
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

    /// Remembers the visit on this node, after the transaction is committed.
    pub(super) fn remember(&self, services: &Services, email: &str) {
        if !self.is_recorded {
            services.limits.sign_in.remember(self.client, email, self.now);
        }
    }
}

/// Returns whether the account of this e-mail address signed in from this network before. The address is in its stored
/// form. Runs one statement, whether or not the account exists.
pub(super) async fn is_known(services: &Services, client: ClientAddress, email: &str) -> Result<bool, DbErr> {
    // PostgreSQL refuses text with a NUL character.
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

/// Returns the codes of a network, one for each live key.
fn networks(secrets: &Secrets, client: ClientAddress) -> Vec<String> {
    let network = client.network().to_string();
    let code = |code: [u8; 32]| code.iter().map(|byte| format!("{byte:02x}")).collect();
    secrets.codes(CODE_PURPOSE, network.as_bytes()).map(code).collect()
}
