//! Pictures in questions. The database has the bytes of each picture once. The text of a question names a picture by
//! its hash.
//!
//! A response with a text has the addresses of the pictures in this text. An address contains a code that only this
//! deployment can compute, so nobody can guess it. The server sends a picture to everybody who has its address, without
//! an access token.

mod address;
mod read;
mod store;

pub use address::{AddressKey, PictureAddresses};
pub use read::{StoredPicture, find};
pub(crate) use read::{hashes_of_addresses, of_versions, sizes_of_versions};
pub(crate) use store::store;
