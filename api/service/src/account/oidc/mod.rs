//! Signing in at an issuer of OpenID Connect, and linking an identity at the issuer to an account.
//!
//! A sign-in links an existing account only if both sides have proved its address: the issuer has verified the
//! address, and the account has verified it here. If the account has a second factor, the sign-in links it only after
//! a right code. A signed-in owner can link any identity to an account with a verified address. So nobody gets into an
//! account, or stays able to enter it, through an address that they do not own, or without the second factor.

mod begin;
mod complete;
mod identity;
mod link;

pub(super) use begin::old_logins;
pub use begin::{BegunOidcLogin, OidcBeginRefusal, begin_oidc_link, begin_oidc_login};
pub use complete::{OidcLoginRefusal, OidcReturn, complete_oidc_login};
pub(super) use identity::NewIdentity;
pub use link::{
    LinkedIdentity, OidcLinkRefusal, link_oidc_identity, linked_identities, unlink_oidc_identity,
};
