//! The addresses at which the server sends pictures.

use std::borrow::Cow;
use std::fmt;

use aws_lc_rs::hmac::{self, HMAC_SHA256, Key};
use jishu_entity::server_secret;
use question_formats::with_picture_addresses;
use sea_orm::{ConnectionTrait, EntityTrait};

use crate::error::Fault;

/// The beginning of the path of every picture's address. The key of the address follows.
const PATH: &str = "/media/";
/// The name of the row in `server_secrets` with the secret from which keys are computed.
const SECRET: &str = "pictures";
/// The number of hexadecimal digits of the key of an address.
const KEY_DIGITS: usize = 64;

/// The key of the address of a picture: the last part of the address. The key is computed from the hash of the picture
/// with a secret, so nobody can guess the key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AddressKey(String);

impl AddressKey {
    /// Reads a key. Returns `None` if the text does not have the form of a key.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_key =
            text.len() == KEY_DIGITS && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        is_key.then(|| Self(text.to_owned()))
    }

    /// Returns a key that belongs to no picture: all its digits are zeros.
    #[must_use]
    pub fn of_nothing() -> Self {
        Self("0".repeat(KEY_DIGITS))
    }

    /// Returns the text of the key.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Reads the key from the address of a picture, which may begin with the URL of a server. Returns None if the text
    /// is not the address of a picture.
    pub(crate) fn of_address(address: &str) -> Option<Self> {
        let (_, key) = address.split_once(PATH)?;
        Self::parse(key.get(..KEY_DIGITS).filter(|_| key.len() == KEY_DIGITS)?)
    }

    /// Finds the keys of all addresses of pictures in a text.
    pub(crate) fn all_in(text: &str) -> impl Iterator<Item = Self> {
        text.match_indices(PATH)
            .filter_map(|(at, path)| Self::parse(text.get(at + path.len()..)?.get(..KEY_DIGITS)?))
    }
}

/// Computes the addresses of pictures.
#[derive(Clone)]
pub struct PictureAddresses {
    secret: Key,
    /// The beginning of each address: the public URL of the server, or an empty text.
    base: String,
}

impl fmt::Debug for PictureAddresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PictureAddresses").field("base", &self.base).finish_non_exhaustive()
    }
}

impl PictureAddresses {
    /// Reads the secret from the database. `public_url` is the URL of the server, without a slash at its end. If
    /// `public_url` is None, addresses begin with the path.
    ///
    /// # Errors
    /// Fails if the database fails or has no secret for pictures.
    pub async fn load(connection: &impl ConnectionTrait, public_url: Option<&str>) -> Result<Self, Fault> {
        let row = server_secret::Entity::find_by_id(SECRET).one(connection).await?;
        let row = row.ok_or_else(|| Fault::missing("`pictures` in server_secrets"))?;
        Ok(Self {
            secret: Key::new(HMAC_SHA256, row.secret.as_bytes()),
            base: public_url.unwrap_or_default().to_owned(),
        })
    }

    /// Computes the key of the address of the picture with this hash.
    #[must_use]
    pub fn key(&self, hash: &str) -> AddressKey {
        let code = hmac::sign(&self.secret, hash.as_bytes());
        AddressKey(code.as_ref().iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Replaces the names of pictures in a text of a question with their addresses. Everybody who has an address can
    /// get the picture, so give the text only to a user who may read it.
    #[must_use]
    pub fn show<'t>(&self, text: &'t str) -> Cow<'t, str> {
        with_picture_addresses(text, |hash| Some(format!("{}{PATH}{}", self.base, self.key(hash).as_str())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_gets_the_addresses_of_its_pictures() {
        let addresses = |secret: &[u8], base: &str| PictureAddresses {
            secret: Key::new(HMAC_SHA256, secret),
            base: base.to_owned(),
        };
        let hash = "ab".repeat(32);
        let text = format!("<img src=\"{}\">", question_formats::picture_address(&hash));
        let (one, other) = (addresses(b"1", ""), addresses(b"2", "https://api.example.com"));
        assert_ne!(one.key(&hash), other.key(&hash));
        assert_eq!(one.show(&text), format!("<img src=\"/media/{}\">", one.key(&hash).as_str()));
        let shown = other.show(&text).into_owned();
        assert!(shown.starts_with("<img src=\"https://api.example.com/media/") && !shown.contains(&hash));
        assert_eq!(AddressKey::all_in(&shown).collect::<Vec<_>>(), [other.key(&hash)]);
        let address = shown.trim_start_matches("<img src=\"").trim_end_matches("\">");
        assert_eq!(AddressKey::of_address(address), Some(other.key(&hash)));
        for wrong in ["/media/", "/media/ab", &format!("{address}/.."), &address.to_uppercase(), ""] {
            assert_eq!(AddressKey::of_address(wrong), None, "{wrong}");
        }
        assert_eq!(one.show("plain"), "plain");
        assert!(!format!("{one:?}").contains("secret"));
    }
}
