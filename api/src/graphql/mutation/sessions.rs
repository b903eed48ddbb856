//! The mutations with which users end their sessions.

use async_graphql::{Context, ID, Object, SimpleObject};

use crate::graphql::context::ContextExt;
use crate::graphql::error::{ApiResult, refused_or};
use crate::graphql::types::{ErrorCode, SignInSession, UserError};
use jishu_service::account::{self, SessionNotFound};

/// The response to a mutation that ends sessions.
#[derive(SimpleObject)]
pub(super) struct EndSessionsPayload {
    /// The sessions in which the user is signed in now, the latest used first, at most 100.
    sessions: Vec<SignInSession>,
    /// The reasons why no session was ended. Empty on success.
    user_errors: Vec<UserError>,
}

#[derive(Default)]
pub(super) struct SessionsMutation;

#[Object]
impl SessionsMutation {
    /// Ends a session of the signed-in user, such as the session on a lost phone. The refresh token of the session
    /// stops working at once. Its access tokens and subscriptions stop working within seconds, on every node of the
    /// server. The session of this request can be ended too.
    async fn end_session(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The id of the session, from `viewer.sessions`.")] id: ID,
    ) -> ApiResult<EndSessionsPayload> {
        let (services, viewer) = (ctx.services()?, ctx.require_viewer()?);
        let ended = match SignInSession::parse_id(&id) {
            Some(session) => account::end_session(services, viewer, session).await,
            None => Err(SessionNotFound.into()),
        };
        let user_errors = match refused_or(ended)? {
            Ok(()) => Vec::new(),
            Err(refusal) => {
                let message = format!("{refusal} Read `viewer.sessions` again.");
                vec![UserError::field(ErrorCode::SessionNotFound, message, &["id"])]
            }
        };
        Ok(EndSessionsPayload { sessions: SignInSession::of_viewer(ctx, viewer).await?, user_errors })
    }

    /// Ends all sessions of the signed-in user except the session of this request. The tokens of the ended sessions
    /// stop working as `endSession` describes.
    async fn end_other_sessions(&self, ctx: &Context<'_>) -> ApiResult<EndSessionsPayload> {
        let (services, viewer) = (ctx.services()?, ctx.require_viewer()?);
        account::end_other_sessions(services, viewer).await?;
        let sessions = SignInSession::of_viewer(ctx, viewer).await?;
        Ok(EndSessionsPayload { sessions, user_errors: Vec::new() })
    }
}
