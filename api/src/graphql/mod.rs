//! The GraphQL API. The resolver of a mutation translates the input, calls one function of `jishu-service`, and
//! translates the result.

mod access;
mod context;
mod cursor;
mod error;
mod loaders;
mod mutation;
mod node;
mod pagination;
mod permission;
mod query;
mod scalar;
mod schema;
mod staff;
mod subscription;
mod types;

pub use access::RequestAccess;
pub use error::{RequestId, finish_errors, panic_error, rate_limit_message};
pub use loaders::Loaders;
pub use schema::{JishuEngine, JishuSchema, SECRET_FIELDS, build, builder, sdl};
pub use subscription::StartSignal;
