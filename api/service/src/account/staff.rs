//! Members of staff. Their roles are read from the database for each operation.
//!
//! An operation of staff takes an [`Author`], a [`Support`] or an [`Admin`], and only this module can make these
//! values. So no operation can forget to check the role and the status. And an old access token does not keep a role
//! that its user has lost.

use jishu_entity::user::{Role, UserStatus};
use jishu_entity::{UserId, second_factor, user};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect};

use crate::Services;
use crate::auth::Viewer;
use crate::error::{Error, Refusal};

/// The refusal of an account that does not have the role for an operation, or that is deactivated.
#[derive(Debug, thiserror::Error)]
#[error("This account is not active, or it does not have the role for this operation. Ask an admin.")]
pub struct NotStaff;

impl Refusal for NotStaff {}

/// A reason not to let an account use a permission of staff.
#[derive(Debug, thiserror::Error)]
pub enum StaffRefusal {
    /// The account does not have the role, or it is deactivated.
    #[error(transparent)]
    NotStaff(#[from] NotStaff),
    /// Staff must have a second factor, and this account has none.
    #[error("Staff of this platform must have a second factor, and this account has none. Set one up first.")]
    SecondFactorRequired,
}

impl Refusal for StaffRefusal {}

/// Declares a permission: a type that only an active account with one of the roles can get.
macro_rules! permissions {
    ($($(#[$doc:meta])* $name:ident: [$($role:ident),+];)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub struct $name {
            id: UserId,
        }

        impl $name {
            /// The roles that have this permission.
            pub const ROLES: &'static [Role] = &[$(Role::$role),+];

            /// Reads the account of the viewer, and refuses if it is not active, or if its role does not have this
            /// permission. Also refuses an account without a second factor if staff must have one.
            ///
            /// # Errors
            /// See [`StaffRefusal`].
            pub async fn verify(services: &Services, viewer: Viewer) -> Result<Self, Error<StaffRefusal>> {
                let id = verify(services, viewer, Self::ROLES).await?;
                Ok(Self { id })
            }

            /// Returns the id of the account.
            #[must_use]
            pub fn id(self) -> UserId {
                self.id
            }
        }
    )+};
}

permissions! {
    /// An author or an admin with an active account. May edit the catalogue, the question bank and the settings of
    /// tests.
    Author: [Author, Admin];
    /// A member of support staff or an admin with an active account. May use the operations that help learners.
    Support: [Support, Admin];
    /// An admin with an active account. May do everything that staff may do.
    Admin: [Admin];
}

/// Returns the id of the viewer if their account is active and has one of the roles. If staff must have a second
/// factor, the account must have it switched on.
async fn verify(services: &Services, viewer: Viewer, roles: &[Role]) -> Result<UserId, Error<StaffRefusal>> {
    let found: Option<(Role, UserStatus)> = user::Entity::find()
        .select_only()
        .columns([user::Column::Role, user::Column::Status])
        .filter(user::Column::Id.eq(viewer.user_id))
        .into_tuple()
        .one(services.database.reader())
        .await?;
    match found {
        Some((role, UserStatus::Active)) if roles.contains(&role) => {}
        _ => return Err(StaffRefusal::from(NotStaff).into()),
    }
    if services.requires_staff_second_factor
        && !second_factor::Entity::is_on(services.database.reader(), viewer.user_id).await?
    {
        return Err(StaffRefusal::SecondFactorRequired.into());
    }
    Ok(viewer.user_id)
}
