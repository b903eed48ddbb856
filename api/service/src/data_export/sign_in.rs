//! Exports the ways in which the person signs in, without any secret: the second factor, challenges, and identities.

use jishu_entity::{oidc_identity, oidc_login, recovery_code, second_factor, sign_in_challenge};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use serde_json::{Value, json};

use super::writer::{Stop, Writer};
use super::{UserExport, time, time_or_null};

impl UserExport {
    pub(super) async fn write_sign_in_ways(&self, writer: &mut Writer) -> Result<(), Stop> {
        let reader = self.source.database.reader();
        let codes = recovery_code::Entity::find().filter(recovery_code::Column::UserId.eq(self.user));
        let codes = codes.all(reader).await?;
        let codes: Vec<Value> = codes
            .into_iter()
            .map(|row| json!({ "createdAt": time(row.created_at), "usedAt": time_or_null(row.used_at) }))
            .collect();
        let factor = second_factor::Entity::find_by_id(self.user).one(reader).await?;
        let factor = factor.map(|row| {
            json!({
                "createdAt": time(row.created_at),
                "confirmedAt": time_or_null(row.confirmed_at),
                "recoveryCodes": codes,
            })
        });
        writer.field("secondFactor", &factor.into()).await?;
        let challenges =
            sign_in_challenge::Entity::find().filter(sign_in_challenge::Column::UserId.eq(self.user));
        let item = |row: sign_in_challenge::Model| {
            json!({
                "attempts": row.attempts,
                "createdAt": time(row.created_at),
                "expiresAt": time(row.expires_at),
                "usedAt": time_or_null(row.used_at),
                "pendingIssuer": row.pending_issuer,
                "pendingSubject": row.pending_subject,
            })
        };
        writer.list("signInChallenges", challenges.all(reader).await?.into_iter().map(item)).await?;
        let identities = oidc_identity::Entity::find().filter(oidc_identity::Column::UserId.eq(self.user));
        let item = |row: oidc_identity::Model| json!({ "issuer": row.issuer, "subject": row.subject, "linkedAt": time(row.created_at) });
        writer.list("linkedIdentities", identities.all(reader).await?.into_iter().map(item)).await?;
        let logins = oidc_login::Entity::find().filter(oidc_login::Column::UserId.eq(self.user));
        let item = |row: oidc_login::Model| {
            json!({
                "redirectUri": row.redirect_uri,
                "createdAt": time(row.created_at),
                "expiresAt": time(row.expires_at),
            })
        };
        writer.list("begunLinks", logins.all(reader).await?.into_iter().map(item)).await
    }
}
