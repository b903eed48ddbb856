//! The response to a mutation that signs a user in or continues a session.

use async_graphql::{Context, Object, SimpleObject};

use crate::graphql::access;
use crate::graphql::scalar::DateTime;
use crate::graphql::types::{ErrorCode, User, UserError};
use jishu_service::account::{SecondFactorChallenge, SignInOutcome, SignedIn};

/// The tokens of a new or continued session.
#[derive(SimpleObject)]
pub(super) struct AuthTokens {
    /// The access token, a JWT. Send it in the header `Authorization: Bearer`.
    access_token: String,
    /// The time at which the access token expires.
    access_token_expires_at: DateTime,
    /// The token for `refreshTokens`. It works once. For a short time after its use (20 seconds by default), sending it
    /// again returns the same new refresh token, until the new refresh token is used. So two tabs may refresh at once,
    /// and a client may retry after a lost response. Sending a used refresh token later ends the session.
    refresh_token: String,
    /// The time at which the refresh token expires.
    refresh_token_expires_at: DateTime,
}

/// A sign-in that waits for the second factor.
#[derive(SimpleObject)]
pub(super) struct SecondFactorRequest {
    /// The token for `completeLogin`. It works for 5 minutes, and for at most 5 codes. It cannot be used for anything
    /// else.
    challenge: String,
    /// The time at which `challenge` stops working.
    expires_at: DateTime,
}

/// The response to a mutation that signs a user in or continues a session: a session, a challenge with an error, or the
/// reasons to refuse. All of them are empty if the e-mail address must be verified first.
#[derive(Default)]
pub(super) struct AuthPayload {
    signed_in: Option<Box<SignedIn>>,
    challenge: Option<SecondFactorChallenge>,
    errors: Vec<UserError>,
}

/// The response to a mutation that signs a user in or continues a session.
#[Object]
impl AuthPayload {
    /// The user who is signed in now. Null if the request was refused, if the e-mail address must be verified first, or
    /// if the sign-in waits for the second factor.
    async fn user(&self, ctx: &Context<'_>) -> Option<User> {
        let signed_in = self.signed_in.as_ref()?;
        access::sign_in(ctx, signed_in.user.id);
        Some(signed_in.user.clone().into())
    }

    /// The tokens of the session. Null if the request was refused, if the e-mail address must be verified first, or if
    /// the sign-in waits for the second factor.
    async fn tokens(&self) -> Option<AuthTokens> {
        self.signed_in.as_ref().map(|signed_in| AuthTokens {
            access_token: signed_in.access.token.clone(),
            access_token_expires_at: DateTime(signed_in.access.expires_at),
            refresh_token: signed_in.refresh.as_str().to_owned(),
            refresh_token_expires_at: DateTime(signed_in.refresh_expires_at),
        })
    }

    /// The challenge of a sign-in that waits for the second factor. Null if no second factor is needed. With a
    /// challenge, `userErrors` has `SECOND_FACTOR_REQUIRED`, so that clients that ignore this field show a message.
    async fn second_factor(&self) -> Option<SecondFactorRequest> {
        self.challenge.as_ref().map(|challenge| SecondFactorRequest {
            challenge: challenge.token.as_str().to_owned(),
            expires_at: DateTime(challenge.expires_at),
        })
    }

    /// The reasons why the response has no tokens. Empty on success, and if the e-mail address must be verified first.
    async fn user_errors(&self) -> &[UserError] {
        &self.errors
    }
}

impl AuthPayload {
    pub(super) fn signed_in(signed_in: SignedIn) -> Self {
        Self { signed_in: Some(Box::new(signed_in)), ..Self::default() }
    }

    /// Makes the empty response to a registration whose e-mail address must be verified first.
    pub(super) fn requested() -> Self {
        Self::default()
    }

    pub(super) fn refused(errors: Vec<UserError>) -> Self {
        Self { errors, ..Self::default() }
    }

    pub(super) fn of(outcome: SignInOutcome) -> Self {
        match outcome {
            SignInOutcome::SignedIn(signed_in) => Self { signed_in: Some(signed_in), ..Self::default() },
            SignInOutcome::SecondFactorRequired(challenge) => {
                let message = "This account has a second factor. Send a code of the authenticator app, or a recovery code, \
                               with `completeLogin`.";
                let error = UserError::field(ErrorCode::SecondFactorRequired, message, &[]);
                Self { challenge: Some(challenge), errors: vec![error], ..Self::default() }
            }
        }
    }
}
