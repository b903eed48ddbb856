//! The accounts of the demo: a learner, and a member of staff for each role. Their passwords are public.

use jishu_entity::user;
use jishu_entity::user::Role;
use sea_orm::{ColumnTrait, DbErr, EntityTrait, QueryFilter};

use super::DemoRefusal;
use crate::Services;
use crate::account::{self, RegisterRefusal, Registration};
use crate::error::{Error, Fault};

/// The e-mail address of the demo learner. RFC 2606 reserves the domain, so nobody can receive mail there.
pub const LEARNER_EMAIL: &str = "learner@example.com";
/// The password of the demo learner, which is public.
pub const LEARNER_PASSWORD: &str = "learn-with-jishu";

/// An account of the demo.
#[derive(Clone, Copy, Debug)]
pub struct DemoAccount {
    name: &'static str,
    /// The e-mail address of the account.
    pub email: &'static str,
    /// The password, which is public.
    pub password: &'static str,
    /// The role of the account.
    pub role: Role,
}

/// The accounts of the demo, the learner first.
pub const ACCOUNTS: [DemoAccount; 4] = [
    DemoAccount {
        name: "Demo Learner",
        email: LEARNER_EMAIL,
        password: LEARNER_PASSWORD,
        role: Role::Learner,
    },
    DemoAccount {
        name: "Demo Author",
        email: "author@example.com",
        password: "write-with-jishu",
        role: Role::Author,
    },
    DemoAccount {
        name: "Demo Support",
        email: "support@example.com",
        password: "help-with-jishu",
        role: Role::Support,
    },
    DemoAccount {
        name: "Demo Admin",
        email: "admin@example.com",
        password: "manage-with-jishu",
        role: Role::Admin,
    },
];

impl DemoAccount {
    /// Finds the account by its e-mail address, or adds it.
    ///
    /// # Errors
    /// See [`DemoRefusal`].
    pub async fn find_or_add(&self, services: &Services) -> Result<user::Model, Error<DemoRefusal>> {
        if let Some(row) = self.find(services).await? {
            return Ok(row);
        }
        let registration = Registration {
            name: self.name.to_owned(),
            email: self.email.to_owned(),
            password: self.password.to_owned(),
            role: self.role,
            birth_year: None,
        };
        match account::create(services, registration).await {
            // Another node added the account first.
            Err(Error::Refused(RegisterRefusal::EmailTaken)) => {
                self.find(services).await?.ok_or_else(|| Fault::missing("an account of the demo").into())
            }
            made => made.map_err(|error| error.map(DemoRefusal::Account)),
        }
    }

    async fn find(&self, services: &Services) -> Result<Option<user::Model>, DbErr> {
        let accounts = user::Entity::find().filter(user::Column::Email.eq(self.email));
        accounts.one(services.database.reader()).await
    }
}
