//! Typed access to the data that a resolver finds in its context.

use async_graphql::Context;

use super::error::{ApiError, ApiResult};
use super::loaders::{AllLoaders, Loaders};
use super::types::RenderedPapers;
use jishu_service::Services;
use jishu_service::account::SignInClient;
use jishu_service::auth::Viewer;
use jishu_service::limit::ClientAddress;

/// Typed access to the data in the context of a resolver. Data that is missing by mistake is an internal error.
pub(super) trait ContextExt {
    fn services(&self) -> ApiResult<&Services>;
    fn loaders(&self) -> ApiResult<&AllLoaders>;
    fn rendered_papers(&self) -> ApiResult<&RenderedPapers>;
    /// Returns the signed-in user, or `None` if nobody is signed in.
    fn viewer(&self) -> Option<Viewer>;
    /// Returns the signed-in user, or the error `UNAUTHENTICATED` if nobody is signed in.
    fn require_viewer(&self) -> ApiResult<Viewer>;
    /// Returns the network address of the client.
    fn client(&self) -> ApiResult<ClientAddress>;
    /// Returns the client with its address and the name of its program, as a new session records them.
    fn sign_in_client(&self) -> ApiResult<SignInClient>;
}

impl ContextExt for Context<'_> {
    fn services(&self) -> ApiResult<&Services> {
        self.data::<Services>().map_err(|error| ApiError::internal(error.message))
    }

    fn loaders(&self) -> ApiResult<&AllLoaders> {
        self.data::<Loaders>().map(Loaders::get).map_err(|error| ApiError::internal(error.message))
    }

    fn rendered_papers(&self) -> ApiResult<&RenderedPapers> {
        self.data::<RenderedPapers>().map_err(|error| ApiError::internal(error.message))
    }

    fn viewer(&self) -> Option<Viewer> {
        self.data_opt::<Viewer>().copied()
    }

    fn require_viewer(&self) -> ApiResult<Viewer> {
        self.viewer().ok_or(ApiError::Unauthenticated)
    }

    fn client(&self) -> ApiResult<ClientAddress> {
        self.data::<ClientAddress>().copied().map_err(|error| ApiError::internal(error.message))
    }

    fn sign_in_client(&self) -> ApiResult<SignInClient> {
        self.data::<SignInClient>().copied().map_err(|error| ApiError::internal(error.message))
    }
}
