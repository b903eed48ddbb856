//! Enrols many users for the operator: makes accounts, and grants subjects to them.
//!
//! Each row is one transaction: its account and all its grants are stored, or nothing is. Enrolling the same row again
//! changes nothing, because the account exists and owns its subjects.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use jishu_entity::purchase::PurchaseType;
use jishu_entity::user::{Role, UserStatus};
use jishu_entity::{CourseId, SubjectId, UserId, course, subject, user};
use jishu_service_macros::service_call;
use rand::RngExt;
use sea_orm::{
    ActiveModelTrait, ActiveValue::NotSet, ActiveValue::Set, ColumnTrait, DatabaseTransaction, EntityTrait,
    QueryFilter, QueryOrder,
};

use super::account::{self, RegisterRefusal, Registration};
use super::audit;
use super::paper::Papers;
use super::purchase::{GrantRefusal, GrantRequest, ReceiptOutcome, Selection, grant_through};
use super::tax::TaxPolicy;
use crate::auth::Passwords;
use crate::database::{Database, QueueKey, WritePolicy};
use crate::error::{Error, Refusal};

/// Number of random bytes of a password that nobody chose.
const PASSWORD_BYTES: usize = 15;

/// A user to enrol.
#[derive(Clone, Debug)]
pub struct Enrolment {
    /// The name of a new account.
    pub name: String,
    /// The e-mail address.
    pub email: String,
    /// The role. None means learner for a new account, and any role for an existing one.
    pub role: Option<Role>,
    /// The password of a new account. None makes a random one.
    pub password: Option<String>,
    /// The subjects to grant.
    pub grants: Vec<SubjectGrant>,
    /// The reason that is stored with the grants.
    pub reason: String,
}

/// Subjects to grant, by their codes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubjectGrant {
    /// The code of the course.
    pub course: String,
    /// The code of a subject. None means all subjects of the course that are on sale.
    pub subject: Option<String>,
}

/// The result of an enrolment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enrolled {
    /// Whether the account is new.
    pub is_new: bool,
    /// Number of purchases that were granted.
    pub purchases: usize,
    /// Number of test cards that were created.
    pub test_cards: i64,
    /// The password of a new account, if nobody chose it.
    pub password: Option<String>,
}

/// A reason not to enrol a user. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum EnrolmentRefusal {
    /// Some fields of the account are not valid.
    #[error(transparent)]
    Account(#[from] RegisterRefusal),
    /// The account has another role.
    #[error("The account has the role {0}. Change it with `jishu user set-role`, or leave the role out.")]
    OtherRole(&'static str),
    /// The account is deactivated.
    #[error("The account is deactivated, so it gets no subjects. Activate it first.")]
    Deactivated,
    /// There is no course with this code.
    #[error("There is no course with the code {0}.")]
    CourseNotFound(String),
    /// The course has no subject with this code.
    #[error("The course {0} has no subject with the code {1}.")]
    SubjectNotFound(String, String),
    /// The course has no subjects that can be granted.
    #[error("The course {0} has no subjects on sale.")]
    CourseEmpty(String),
    /// The subjects cannot be granted.
    #[error(transparent)]
    Grant(#[from] GrantRefusal),
    /// The account was removed while this ran.
    #[error("The account was changed at the same time. Run the import again.")]
    Changed,
    /// The transaction was a dry run, and is rolled back.
    #[error("nothing was written")]
    DryRun(Enrolled),
}

impl Refusal for EnrolmentRefusal {}

/// The resources for enrolling users.
#[derive(Clone, Copy)]
pub struct EnrolmentResources<'a> {
    /// The database.
    pub database: &'a Database,
    /// Hashes the passwords.
    pub passwords: &'a Passwords,
    /// The time of the enrolment.
    pub now: DateTime<Utc>,
    /// Whether to roll everything back.
    pub is_dry_run: bool,
}

struct EnrolCommand {
    enrolment: Enrolment,
    email: String,
    selections: Vec<Selection>,
    /// The row of a new account. None if the account exists.
    new: Option<user::ActiveModel>,
    password: Option<String>,
    /// Scores the open sittings of entitlements whose term is over.
    papers: Arc<Papers>,
    is_dry_run: bool,
    now: DateTime<Utc>,
}

/// Enrols a user, or tells in a dry run what enrolling would do.
///
/// # Errors
/// See [`EnrolmentRefusal`]. A refusal means that nothing was written.
#[service_call]
pub async fn enrol(
    resources: EnrolmentResources<'_>,
    enrolment: Enrolment,
) -> Result<Enrolled, Error<EnrolmentRefusal>> {
    let EnrolmentResources { database, passwords, now, is_dry_run } = resources;
    let selections = selections(database, &enrolment.grants).await?;
    let random = enrolment.password.is_none().then(random_password);
    let password = enrolment.password.clone().or_else(|| random.clone()).unwrap_or_default();
    let registration = Registration {
        name: enrolment.name.clone(),
        email: enrolment.email.clone(),
        password: password.clone(),
        role: enrolment.role.unwrap_or(Role::Learner),
        birth_year: None,
    };
    let checked = account::check(&registration).map_err(RegisterRefusal::Invalid);
    let (name, email) = checked.map_err(EnrolmentRefusal::from)?;
    let is_known = account::find(database, &email).await?.is_some();
    let new = match is_known {
        true => None,
        false => Some(user::ActiveModel {
            id: NotSet,
            name: Set(name),
            email: Set(email.clone()),
            // A dry run stores nothing, and hashing takes most of the time.
            password_hash: Set(if is_dry_run { String::new() } else { passwords.hash(password).await? }),
            role: Set(registration.role),
            status: Set(UserStatus::Active),
            // The operator vouches for the addresses in the file.
            email_verified_at: Set(Some(now)),
            created_at: Set(now),
            birth_year: Set(None),
            deleted_at: Set(None),
        }),
    };
    let policy = WritePolicy::idempotent("enrol a user").retry_taken_keys();
    let key = QueueKey::registration(&email);
    let papers = Arc::new(Papers::new(database.clone()));
    let command =
        EnrolCommand { enrolment, email, selections, new, password: random, papers, is_dry_run, now };
    let enrolled = database
        .write_for(key, policy, command, |transaction, command| Box::pin(run(transaction, command)))
        .await;
    match enrolled {
        Err(Error::Refused(EnrolmentRefusal::DryRun(enrolled))) => Ok(enrolled),
        enrolled => enrolled,
    }
}

async fn run(
    transaction: &DatabaseTransaction,
    command: &EnrolCommand,
) -> Result<Enrolled, Error<EnrolmentRefusal>> {
    let found = account::by_email(transaction, &command.email).await?;
    // If the response to COMMIT was lost, a retry finds the account of the first run. Its hash has a random salt, so no
    // other account has it.
    let is_own = |user: &user::Model| matches!(&command.new, Some(new) if new.password_hash.try_as_ref() == Some(&user.password_hash));
    let is_new = found.as_ref().is_none_or(|user| !user.password_hash.is_empty() && is_own(user));
    let user = match (found, &command.new) {
        (Some(user), _) => {
            if command.enrolment.role.is_some_and(|role| role != user.role) {
                return Err(EnrolmentRefusal::OtherRole(role_name(user.role)).into());
            }
            if user.status != UserStatus::Active && !command.selections.is_empty() {
                return Err(EnrolmentRefusal::Deactivated.into());
            }
            user
        }
        (None, Some(new)) => {
            let user = new.clone().insert(transaction).await?;
            audit::append(transaction, command.now, None, "user.enrolled", ("users", user.id.0)).await?;
            user
        }
        (None, None) => return Err(EnrolmentRefusal::Changed.into()),
    };
    let (purchases, test_cards) = grant(transaction, command, user.id).await?;
    let password = command.password.clone().filter(|_| is_new);
    let enrolled = Enrolled { is_new, purchases, test_cards, password };
    if command.is_dry_run { Err(EnrolmentRefusal::DryRun(enrolled).into()) } else { Ok(enrolled) }
}

/// Grants the subjects. Returns the numbers of purchases and test cards that are new.
async fn grant(
    transaction: &DatabaseTransaction,
    command: &EnrolCommand,
    user: UserId,
) -> Result<(usize, i64), Error<EnrolmentRefusal>> {
    let (mut purchases, mut cards) = (0, 0);
    for selection in &command.selections {
        let request = GrantRequest {
            user,
            selection: selection.clone(),
            reason: command.enrolment.reason.clone(),
            idempotency_key: None,
        };
        // The price is 0, and so is the tax, whatever its rate.
        let (tax, papers) = (Arc::new(TaxPolicy::default()), Arc::clone(&command.papers));
        let receipt = grant_through(transaction, request, tax, papers, command.now)
            .await
            .map_err(|error| error.map(EnrolmentRefusal::from))?;
        if let ReceiptOutcome::Created { test_cards } = receipt.outcome {
            purchases += 1;
            cards += test_cards;
        }
    }
    Ok((purchases, cards))
}

/// Turns codes into one selection for each course.
async fn selections(
    database: &Database,
    grants: &[SubjectGrant],
) -> Result<Vec<Selection>, Error<EnrolmentRefusal>> {
    let mut chosen: BTreeMap<CourseId, Vec<SubjectId>> = BTreeMap::new();
    for grant in grants {
        let course = course::Entity::find()
            .filter(course::Column::Code.eq(grant.course.as_str()))
            .one(database.reader())
            .await?
            .ok_or_else(|| EnrolmentRefusal::CourseNotFound(grant.course.clone()))?;
        let mut subjects = subject::Entity::find()
            .filter(subject::Column::CourseId.eq(course.id))
            .order_by_asc(subject::Column::Id);
        subjects = match &grant.subject {
            Some(code) => subjects.filter(subject::Column::Code.eq(code.as_str())),
            None => subjects.filter(subject::Column::ArchivedAt.is_null()),
        };
        let subjects = subjects.all(database.reader()).await?;
        if subjects.is_empty() {
            return Err(match &grant.subject {
                Some(code) => EnrolmentRefusal::SubjectNotFound(grant.course.clone(), code.clone()),
                None => EnrolmentRefusal::CourseEmpty(grant.course.clone()),
            }
            .into());
        }
        let of_course = chosen.entry(course.id).or_default();
        for subject in subjects {
            if !of_course.contains(&subject.id) {
                of_course.push(subject.id);
            }
        }
    }
    let selection = |(course_id, subject_ids): (CourseId, Vec<SubjectId>)| Selection {
        course_id,
        purchase_type: match subject_ids.len() {
            1 => PurchaseType::SingleSubject,
            _ => PurchaseType::MultipleSubjects,
        },
        subject_ids,
    };
    Ok(chosen.into_iter().map(selection).collect())
}

fn role_name(role: Role) -> &'static str {
    match role {
        Role::Learner => "learner",
        Role::Author => "author",
        Role::Support => "support",
        Role::Admin => "admin",
    }
}

fn random_password() -> String {
    let bytes: [u8; PASSWORD_BYTES] = rand::rng().random();
    URL_SAFE_NO_PAD.encode(bytes)
}
