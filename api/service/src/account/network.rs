//! The networks from which accounts signed in. Their owners can sign in from there whatever strangers do.

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

/// Maximum number of networks that are stored for one account: the latest ones.
const MAX_NETWORKS_PER_USER: u64 = 20;
/// Time after which a network is forgotten if the account was not seen there.
pub(super) const KEPT_FOR: TimeDelta = TimeDelta::days(90);
/// Minimum time between two writes of when an account was seen at a network.
const SEEN_PRECISION: TimeDelta = TimeDelta::days(1);

const PURPOSE: &str = "network of a sign-in";

/// The network and the time at which a session begins or continues.
#[derive(Clone)]
pub(super) struct Seen {
    client: ClientAddress,
    /// The codes of the network in the database, under each live key, the current one first.
    networks: Vec<String>,
    now: DateTime<Utc>,
    /// Whether this node recorded it a short while ago.
    is_recorded: bool,
}

impl Seen {
    pub(super) fn new(services: &Services, client: ClientAddress, now: DateTime<Utc>) -> Self {
        Self { client, networks: networks(&services.secrets, client), now, is_recorded: false }
    }

    /// Marks it as recorded if this node recorded the same a short while ago. Then [`Seen::record`] does nothing.
    pub(super) fn unless_recorded(mut self, services: &Services, email: &str) -> Self {
        self.is_recorded = services.limits.sign_in.has_recorded(self.client, email, self.now);
        self
    }

    /// Records it in the transaction of the session.
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
            if self.now - *seen_at < SEEN_PRECISION {
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

    /// Remembers it on this node, after the transaction is committed.
    pub(super) fn remember(&self, services: &Services, email: &str) {
        if !self.is_recorded {
            services.limits.sign_in.remember(self.client, email, self.now);
        }
    }
}

/// Whether the account of this address, folded as it is stored, signed in from this network before. Runs one
/// statement, whether or not the account exists.
pub(super) async fn is_known(services: &Services, client: ClientAddress, email: &str) -> Result<bool, DbErr> {
    // PostgreSQL refuses text with a NUL.
    if email.contains('\0') {
        return Ok(false);
    }
    let since = services.clock.now() - KEPT_FOR;
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

fn networks(secrets: &Secrets, client: ClientAddress) -> Vec<String> {
    let network = client.network().to_string();
    let code = |code: [u8; 32]| code.iter().map(|byte| format!("{byte:02x}")).collect();
    secrets.codes(PURPOSE, network.as_bytes()).map(code).collect()
}
