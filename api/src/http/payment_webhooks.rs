//! Receives the webhooks of payment providers. They have permits of their own, so a busy API does not delay the
//! recording of payments. A permit is taken after the body has arrived, so a client that sends slowly holds none.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::AppState;
use super::body::{BodyError, collect};
use super::body_memory::BodyMemory;
use jishu_service::limit::ClientAddress;
use jishu_service::order::{self, WebhookResponse};

/// The maximum size of the body of a webhook, in bytes.
const MAX_WEBHOOK_BYTES: usize = 256 * 1024;
/// The maximum number of webhooks that are handled at once.
const MAX_WEBHOOKS: usize = 32;
/// Maximum time to receive and record a webhook. Providers wait for 5 seconds for the response, then they send the
/// webhook again.
const WEBHOOK_TIMEOUT: Duration = Duration::from_millis(4_500);

/// The limits of webhooks: one permit for each that may be handled at once, and memory for their bodies. Other requests
/// use neither, so they cannot keep webhooks away.
#[derive(Clone)]
pub(super) struct WebhookLimits {
    permits: Arc<Semaphore>,
    memory: BodyMemory,
}

impl WebhookLimits {
    pub(super) fn new(memory: BodyMemory) -> Self {
        Self { permits: Arc::new(Semaphore::new(MAX_WEBHOOKS)), memory }
    }
}

/// Records a webhook. Responds with success only after the commit.
pub(super) async fn receive(
    State(state): State<AppState>,
    Extension(client): Extension<ClientAddress>,
    Path(provider): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let handled = timeout(WEBHOOK_TIMEOUT, async {
        let mut reservation = state.webhooks.memory.reservation(client);
        let body = match collect(body, MAX_WEBHOOK_BYTES, &mut reservation).await {
            Ok(body) => body,
            Err(error) => return not_read(&error),
        };
        let Ok(_permit) = state.webhooks.permits.try_acquire() else { return later("busy\n") };
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

/// Responds to a webhook whose body was not read.
fn not_read(error: &BodyError) -> Response {
    match error {
        BodyError::TooLarge(_) | BodyError::Incomplete => {
            (StatusCode::PAYLOAD_TOO_LARGE, "the body is too large or incomplete\n").into_response()
        }
        BodyError::NoMemory => later("busy\n"),
    }
}

fn later(message: &'static str) -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "5")], message).into_response()
}
