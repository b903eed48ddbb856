//! The GraphQL surface: resolvers translate, call one service function, and translate back.

mod context;
mod error;
mod loaders;
mod mutation;
mod node;
mod pagination;
mod query;
mod scalar;
mod schema;
mod subscription;
mod types;

pub use context::RequestId;
pub use error::{finish, panicked, rate_limited};
pub use loaders::Loaders;
pub use schema::{JishuEngine, JishuSchema, build, builder, sdl};
pub use subscription::Begun;
