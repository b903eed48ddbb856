//! Pictures in questions. The database has their bytes, each once, and the text of a question names them by their hash.
//!
//! Whoever gets a text gets the addresses of its pictures. An address has a code that only this deployment can compute,
//! so nobody can guess it, and it needs no access token.

mod address;
mod read;
mod store;

pub use address::{AddressKey, PictureAddresses};
pub use read::{StoredPicture, find};
pub(crate) use read::{hashes_of_addresses, of_versions, sizes_of_versions};
pub(crate) use store::store;
