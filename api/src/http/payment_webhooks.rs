//! Receives the webhooks of payment providers. They have permits of their own, so a busy API does not delay the
//! recording of payments.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::AppState;
use jishu_service::order::{self, WebhookResponse};

/// The maximum size of the body of a webhook, in bytes.
const MAX_WEBHOOK_BYTES: usize = 256 * 1024;
/// The maximum number of webhooks that are handled at once.
const MAX_WEBHOOKS: usize = 32;
/// Maximum time to receive and record a webhook. Providers wait for 5 seconds for the response, then they send the
/// webhook again.
const WEBHOOK_TIMEOUT: Duration = Duration::from_millis(4_500);

/// One permit for each webhook that may be handled at once.
#[derive(Clone)]
pub(super) struct WebhookPermits(Arc<Semaphore>);

impl WebhookPermits {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(MAX_WEBHOOKS)))
    }
}

/// Records a webhook. Responds with success only after the commit.
pub(super) async fn receive(
    State(state): State<AppState>,
    Path(provider): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let Ok(_permit) = state.webhooks.0.try_acquire() else { return later("busy\n") };
    let handled = timeout(WEBHOOK_TIMEOUT, async {
        let Ok(body) = to_bytes(body, MAX_WEBHOOK_BYTES).await else {
            return (StatusCode::PAYLOAD_TOO_LARGE, "the body is too large or incomplete\n").into_response();
        };
        let value = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        match order::receive(&state.services, &provider, &value, &body).await {
            Ok(WebhookResponse::Accepted) => "accepted\n".into_response(),
            Ok(WebhookResponse::NotConfigured) => {
                (StatusCode::NOT_FOUND, "this server takes no webhooks of this provider\n").into_response()
            }
            Ok(WebhookResponse::NotVerified) => {
                (StatusCode::UNAUTHORIZED, "the signature does not verify\n").into_response()
            }
            Ok(WebhookResponse::Unreadable) => {
                (StatusCode::UNPROCESSABLE_ENTITY, "the body cannot be read\n").into_response()
            }
            Err(error) => {
                tracing::error!(%error, "a webhook could not be recorded; the provider sends it again");
                later("not recorded\n")
            }
        }
    });
    handled.await.unwrap_or_else(|_elapsed| {
        tracing::warn!("a webhook took too long; the provider sends it again");
        later("too slow\n")
    })
}

fn later(message: &'static str) -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "5")], message).into_response()
}
