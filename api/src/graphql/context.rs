//! What a resolver finds in its context.

use async_graphql::Context;

use super::Loaders;
use super::error::{ApiError, ApiResult};
use jishu_service::Services;
use jishu_service::account::{Author, StaffError, Support};
use jishu_service::auth::Viewer;
use jishu_service::limit::ClientAddress;

/// Names a request in logs and in the answer to a failure of ours.
#[derive(Clone, Debug)]
pub struct RequestId(pub String);

/// Typed access to the context. Data that is missing is a fault of ours, and answered as one.
pub(super) trait ContextExt {
    fn services(&self) -> ApiResult<&Services>;
    fn loaders(&self) -> ApiResult<&Loaders>;
    /// Who is asking; none when not signed in.
    fn viewer(&self) -> Option<Viewer>;
    /// Who is asking, or `UNAUTHENTICATED`.
    fn require_viewer(&self) -> ApiResult<Viewer>;
    /// Returns the viewer if they are an active author or admin now, or `FORBIDDEN`. Reads the database.
    async fn require_author(&self) -> ApiResult<Author>;
    /// Returns the viewer if they are active support staff or an admin now, or `FORBIDDEN`. Reads the database.
    async fn require_support(&self) -> ApiResult<Support>;
    /// Where the request comes from.
    fn client(&self) -> ApiResult<ClientAddress>;
}

impl ContextExt for Context<'_> {
    fn services(&self) -> ApiResult<&Services> {
        self.data::<Services>().map_err(|error| ApiError::internal(error.message))
    }

    fn loaders(&self) -> ApiResult<&Loaders> {
        self.data::<Loaders>().map_err(|error| ApiError::internal(error.message))
    }

    fn viewer(&self) -> Option<Viewer> {
        self.data_opt::<Viewer>().copied()
    }

    fn require_viewer(&self) -> ApiResult<Viewer> {
        self.viewer().ok_or(ApiError::Unauthenticated)
    }

    async fn require_author(&self) -> ApiResult<Author> {
        let refusal =
            "This is for authors and admins. Sign in with an account that has the role AUTHOR or ADMIN.";
        let verified = Author::verify(self.services()?, self.require_viewer()?).await;
        verified.map_err(|error| forbidden(error, refusal))
    }

    async fn require_support(&self) -> ApiResult<Support> {
        let refusal =
            "This is for support and admins. Sign in with an account that has the role SUPPORT or ADMIN.";
        let verified = Support::verify(self.services()?, self.require_viewer()?).await;
        verified.map_err(|error| forbidden(error, refusal))
    }

    fn client(&self) -> ApiResult<ClientAddress> {
        self.data::<ClientAddress>().copied().map_err(|error| ApiError::internal(error.message))
    }
}

fn forbidden(error: StaffError, refusal: &'static str) -> ApiError {
    match error {
        StaffError::NotStaff => ApiError::Forbidden(refusal),
        StaffError::Database(error) => error.into(),
    }
}
