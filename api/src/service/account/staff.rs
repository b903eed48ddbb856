//! Who is staff, as the database says at this moment.
//!
//! What staff may do takes an [`Author`] or a [`Support`], and only this module makes them. So it cannot be forgotten to
//! read the role and the status, and nobody keeps powers that an older token names.

use jishu_entity::user::{Role, UserStatus};
use jishu_entity::{UserId, user};
use sea_orm::{ColumnTrait, DbErr, EntityTrait, QueryFilter, QuerySelect};

use crate::auth::Viewer;
use crate::service::Services;

/// Why somebody may not do what staff do.
#[derive(Debug, thiserror::Error)]
pub enum StaffError {
    /// They do not have the role, or their account is deactivated.
    #[error("This account does not have the role for that.")]
    NotStaff,
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DbErr),
}

/// Somebody who keeps the catalogue and the question bank: an author or an admin with an active account.
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

    /// Who it is.
    #[must_use]
    pub fn id(self) -> UserId {
        self.0
    }
}

/// Somebody who helps learners: support or an admin with an active account.
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

    /// Who it is.
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
