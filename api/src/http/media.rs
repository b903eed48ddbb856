//! Serves the pictures in questions. The address of a picture contains a key that nobody can guess. Whoever has the
//! address may see the picture, because `<img>` sends no access token.

use axum::Extension;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::AppState;
use super::admission::unavailable;
use super::refusal::RequestRefusal;
use super::response::MediaType;
use jishu_service::limit::ClientAddress;
use jishu_service::picture::{self, AddressKey};

/// The value of `Cache-Control` for a picture. The content at an address never changes, so browsers may keep it. Shared
/// caches must not keep it, because a learner's right to a question can end.
const CACHE_CONTROL: &str = "private, max-age=31536000, immutable";

/// Sends a picture. An unknown key and a malformed key get the same response, after the same work.
pub(super) async fn get(
    State(state): State<AppState>,
    Extension(client): Extension<ClientAddress>,
    key: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Response {
    let key = key.ok().and_then(|Path(key)| AddressKey::parse(&key)).unwrap_or_else(AddressKey::of_nothing);
    let found = match picture::find(state.services.database.reader(), &key).await {
        Ok(found) => found,
        Err(error) => {
            tracing::error!(%error, "a picture could not be read");
            return unavailable().into_response(MediaType::for_refusal(&headers));
        }
    };
    let Some(found) = found else {
        // Only requests with a wrong key are charged. So all learners of a school behind one address can load pictures.
        return match state.services.limits.take_for_request(client, false) {
            Ok(()) => (StatusCode::NOT_FOUND, [(header::CACHE_CONTROL, "no-store")]).into_response(),
            Err(wait) => {
                RequestRefusal::rate_limited(client, wait).into_response(MediaType::for_refusal(&headers))
            }
        };
    };
    let tag = format!("\"{}\"", key.as_str());
    let common = [
        (header::CACHE_CONTROL, CACHE_CONTROL),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"),
        (HeaderName::from_static("cross-origin-resource-policy"), "cross-origin"),
    ];
    if has_tag(&headers, &tag) {
        return (StatusCode::NOT_MODIFIED, common, [(header::ETAG, tag)]).into_response();
    }
    let own = [(header::CONTENT_TYPE, found.media_type.to_owned()), (header::ETAG, tag)];
    (common, own, found.bytes).into_response()
}

/// Returns whether the client has the picture already, because the request names its tag in `If-None-Match`.
fn has_tag(headers: &HeaderMap, tag: &str) -> bool {
    let tags = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut tags = tags.flat_map(|value| value.split(','));
    tags.any(|given| matches!(given.trim().trim_start_matches("W/"), given if given == tag || given == "*"))
}
