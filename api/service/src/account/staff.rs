//! The members of staff, as the database has them at this moment.
//!
//! Operations of staff take an [`Author`] or a [`Support`], and only this module makes them. So no operation can
//! forget to read the role and the status, and an older token gives nobody powers that they lost.

use jishu_entity::user::{Role, UserStatus};
use jishu_entity::{UserId, user};
use sea_orm::{ColumnTrait, DbErr, EntityTrait, QueryFilter, QuerySelect};

use crate::Services;
use crate::auth::Viewer;

/// An error that keeps somebody from an operation of staff.
#[derive(Debug, thiserror::Error)]
pub enum StaffError {
    /// They do not have the role, or their account is deactivated.
    #[error("This account does not have the role for this.")]
    NotStaff,
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DbErr),
}

/// A keeper of the catalogue and the question bank: an author or an admin with an active account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Author(UserId);

impl Author {
    /// Reads the role and the status of the viewer.
    ///
    /// # Errors
    /// See [`StaffError`].
    pub async fn verify(services: &Services, viewer: Viewer) -> Result<Self, StaffError> {
        verify(services, viewer, &[Role::Author, Role::Admin]).await.map(Self)
    }

    /// Returns the account.
    #[must_use]
    pub fn id(self) -> UserId {
        self.0
    }
}

/// A helper of learners: support staff or an admin with an active account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Support(UserId);

impl Support {
    /// Reads the role and the status of the viewer.
    ///
    /// # Errors
    /// See [`StaffError`].
    pub async fn verify(services: &Services, viewer: Viewer) -> Result<Self, StaffError> {
        verify(services, viewer, &[Role::Support, Role::Admin]).await.map(Self)
    }

    /// Returns the account.
    #[must_use]
    pub fn id(self) -> UserId {
        self.0
    }
}

async fn verify(services: &Services, viewer: Viewer, roles: &[Role]) -> Result<UserId, StaffError> {
    let found: Option<(Role, UserStatus)> = user::Entity::find()
        .select_only()
        .columns([user::Column::Role, user::Column::Status])
        .filter(user::Column::Id.eq(viewer.user_id))
        .into_tuple()
        .one(services.database.reader())
        .await?;
    match found {
        Some((role, UserStatus::Active)) if roles.contains(&role) => Ok(viewer.user_id),
        _ => Err(StaffError::NotStaff),
    }
}
