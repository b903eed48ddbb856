//! Signing in at an issuer of OpenID Connect, and linking an identity there to an account.
//!
//! An account belongs to an identity only after both sides have proved the address: the issuer says that it has verified
//! it, and the account has verified it here. So nobody gets into an account, or keeps a way into it, through an address that
//! they do not own.

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
