//! The sender of an operation.

use jishu_service::account::ClientProgram;
use jishu_service::auth::Viewer;
use jishu_service::limit::ClientAddress;

/// The client that sent an operation, and the user who is signed in there, if any.
#[derive(Clone, Copy)]
pub(in crate::http) struct Caller {
    pub(in crate::http) client: ClientAddress,
    pub(in crate::http) program: Option<ClientProgram>,
    pub(in crate::http) viewer: Option<Viewer>,
}
