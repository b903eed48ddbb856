//! The tokens of a session that begins or continues, and the network and the program of its client.

use chrono::{DateTime, Utc};
use jishu_entity::{UserId, refresh_token, user};
use sea_orm::{
    ActiveModelTrait, ActiveValue::NotSet, ActiveValue::Set, DatabaseTransaction, DbErr, IntoActiveModel,
};
use uuid::Uuid;

use super::client::SignInClient;
use super::network::NetworkVisit;
use crate::Services;
use crate::auth::{AccessToken, RefreshToken, RefreshTokenError, Viewer};
use crate::error::Fault;

/// A user with the tokens of their session.
#[derive(Clone, Debug)]
pub struct SignedIn {
    /// The user who signed in.
    pub user: user::Model,
    /// The token for the `Authorization` header.
    pub access: AccessToken,
    /// The refresh token. It can be exchanged once for the next pair of tokens.
    pub refresh: RefreshToken,
    /// The time when the refresh token expires.
    pub refresh_expires_at: DateTime<Utc>,
}

/// A refresh token of a new or an existing session, with the other values of its row.
#[derive(Clone)]
pub(super) struct NewRefreshToken {
    pub(super) refresh: RefreshToken,
    pub(super) family: Uuid,
    pub(super) now: DateTime<Utc>,
    pub(super) expires_at: DateTime<Utc>,
    pub(super) visit: NetworkVisit,
    /// The time when the user signed in. None for a session that began before the server stored this time.
    pub(super) began_at: Option<DateTime<Utc>>,
    pub(super) client: SignInClient,
}

impl NewRefreshToken {
    /// Makes the first refresh token of a new session. The session is a new family of refresh tokens.
    pub(super) fn of_new_session(
        services: &Services,
        client: SignInClient,
    ) -> Result<Self, RefreshTokenError> {
        Self::of_session(services, client, Uuid::new_v4())
    }

    /// Makes a refresh token of the session whose family of refresh tokens has this id. Sets `began_at` to the current
    /// time. For a session that began earlier, the caller must replace `began_at`.
    pub(super) fn of_session(
        services: &Services,
        client: SignInClient,
        family: Uuid,
    ) -> Result<Self, RefreshTokenError> {
        let now = services.clock.now();
        Ok(Self {
            refresh: RefreshToken::generate(&services.secrets)?,
            family,
            now,
            expires_at: now + services.refresh_token_ttl,
            visit: NetworkVisit::new(services, client.address, now),
            began_at: Some(now),
            client,
        })
    }

    /// Skips recording the network of the client if this node recorded it for the account less than a day ago.
    pub(super) fn skipping_recorded_visit(self, services: &Services, email: &str) -> Self {
        Self { visit: self.visit.unless_recorded(services, email), ..self }
    }

    /// Stores the hash of the refresh token, and the program and the coarse network of its client. Also records the
    /// network for later sign-ins.
    pub(super) async fn insert(
        &self,
        transaction: &DatabaseTransaction,
        user_id: UserId,
    ) -> Result<(), DbErr> {
        let row = refresh_token::ActiveModel {
            id: NotSet,
            user_id: Set(user_id),
            token_hash: Set(self.refresh.hash()),
            family_id: Set(self.family.to_string()),
            created_at: Set(self.now),
            expires_at: Set(self.expires_at),
            used_at: Set(None),
            revoked_at: Set(None),
            successor: Set(None),
            successor_until: Set(None),
            session_began_at: Set(self.began_at),
            program: Set(self.client.program.map(|program| program.to_string())),
            network: Set(Some(self.client.address.coarse_network())),
        };
        row.insert(transaction).await?;
        self.visit.record(transaction, user_id).await
    }

    /// Stores the program and the coarse network of the client in the row of this token, which was inserted before for
    /// another request of the same user. Also records the network for later sign-ins.
    pub(super) async fn move_here(
        &self,
        transaction: &DatabaseTransaction,
        row: refresh_token::Model,
    ) -> Result<(), DbErr> {
        let user = row.user_id;
        let mut row = row.into_active_model();
        row.program = Set(self.client.program.map(|program| program.to_string()));
        row.network = Set(Some(self.client.address.coarse_network()));
        row.update(transaction).await?;
        self.visit.record(transaction, user).await
    }

    /// Issues the access token. The caller must have committed the transaction that stores the session.
    pub(super) fn signed_in(self, services: &Services, user: user::Model) -> Result<SignedIn, Fault> {
        self.visit.remember(services, &user.email);
        let viewer = Viewer { user_id: user.id, role: user.role, session_id: self.family };
        let access = services.tokens.issue(viewer, self.now)?;
        Ok(SignedIn { user, access, refresh: self.refresh, refresh_expires_at: self.expires_at })
    }
}
