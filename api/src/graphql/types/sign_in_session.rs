//! The sessions in which a user is signed in.

use async_graphql::{Context, ID, SimpleObject};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use crate::graphql::context::ContextExt;
use crate::graphql::error::ApiResult;
use crate::graphql::scalar::DateTime;
use jishu_service::account::{self, LiveSession};
use jishu_service::auth::Viewer;

/// The name of the GraphQL type. The text of an id of a session begins with this name before the text is encoded.
const TYPE: &str = "SignInSession";

/// A session in which a user is signed in: all tokens since one sign-in.
#[derive(SimpleObject)]
pub(in crate::graphql) struct SignInSession {
    /// The id of the session, for `endSession`. It is opaque: do not parse it.
    id: ID,
    /// The time of the sign-in. Null if the session began before the server recorded the times of sign-ins.
    created_at: Option<DateTime>,
    /// The time at which the latest tokens of the session were issued. A client that is in use asks for tokens every
    /// few minutes.
    last_used_at: DateTime,
    /// The time at which the session ends if the client does not use the session before.
    expires_at: DateTime,
    /// The program and the operating system of the client, as the client names them, such as `Firefox on Linux`. Null
    /// if they are not known.
    client: Option<String>,
    /// The network from which the session was last used: a network address without its last part, such as
    /// `203.0.113.0/24`. It shows the internet provider or the region. Null if the network is not known.
    network: Option<String>,
    /// Whether this is the session whose access token the request sent.
    is_current: bool,
}

impl SignInSession {
    /// Reads the sessions in which the viewer is signed in, the latest used first, at most 100.
    pub(in crate::graphql) async fn of_viewer(ctx: &Context<'_>, viewer: Viewer) -> ApiResult<Vec<Self>> {
        let rows = account::live_sessions(ctx.services()?, viewer.user_id).await?;
        Ok(rows.into_iter().map(|row| Self::new(row, viewer)).collect())
    }

    /// Parses the id of a session. Returns None if the text does not have the form of an id of a session.
    pub(in crate::graphql) fn parse_id(id: &ID) -> Option<Uuid> {
        let bytes = URL_SAFE_NO_PAD.decode(id.as_str()).ok()?;
        let (name, session) = std::str::from_utf8(&bytes).ok()?.split_once(':')?;
        Uuid::try_parse(session).ok().filter(|_| name == TYPE)
    }

    fn new(row: LiveSession, viewer: Viewer) -> Self {
        Self {
            id: ID(URL_SAFE_NO_PAD.encode(format!("{TYPE}:{}", row.id))),
            created_at: row.began_at.map(DateTime),
            last_used_at: DateTime(row.used_at),
            expires_at: DateTime(row.expires_at),
            client: row.program,
            network: row.network,
            is_current: row.id == viewer.session_id,
        }
    }
}
