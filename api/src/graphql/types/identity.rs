//! The linked identities of a user: accounts at issuers of OpenID Connect, with which the user can sign in.

use async_graphql::{Context, ID, SimpleObject};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jishu_entity::{OidcIdentityId, UserId};

use crate::graphql::context::ContextExt;
use crate::graphql::error::ApiResult;
use crate::graphql::scalar::DateTime;
use jishu_service::account::{self, LinkedIdentity};

/// The name of the GraphQL type. The text of an id of a linked identity begins with this name before the text is
/// encoded.
const TYPE: &str = "LinkedIdentity";

/// An account at an issuer of OpenID Connect with which the user can sign in.
#[derive(SimpleObject)]
#[graphql(name = "LinkedIdentity")]
pub(in crate::graphql) struct Identity {
    /// The id of the linked identity, for `unlinkOidcIdentity`. It is opaque: do not parse it.
    id: ID,
    /// The issuer of the identity, such as `https://id.example.com`.
    issuer: String,
    /// The time when the identity was linked to the account.
    created_at: DateTime,
}

impl Identity {
    /// Reads the identities that are linked to the account of a user, oldest first, at most 100.
    pub(in crate::graphql) async fn of_user(ctx: &Context<'_>, owner: UserId) -> ApiResult<Vec<Self>> {
        let rows = account::linked_identities(ctx.services()?, owner).await?;
        Ok(rows.into_iter().map(Self::from).collect())
    }

    /// Parses the id of a linked identity. Returns None if the text does not have the form of an id of a linked
    /// identity.
    pub(in crate::graphql) fn parse_id(id: &ID) -> Option<OidcIdentityId> {
        let bytes = URL_SAFE_NO_PAD.decode(id.as_str()).ok()?;
        let (name, row) = std::str::from_utf8(&bytes).ok()?.split_once(':')?;
        row.parse().ok().filter(|_| name == TYPE).map(OidcIdentityId)
    }
}

impl From<LinkedIdentity> for Identity {
    fn from(row: LinkedIdentity) -> Self {
        Self {
            id: ID(URL_SAFE_NO_PAD.encode(format!("{TYPE}:{}", row.id))),
            issuer: row.issuer,
            created_at: DateTime(row.created_at),
        }
    }
}
