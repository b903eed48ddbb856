//! Enrols many users for the operator: makes accounts, and grants subjects to them.
//!
//! Each user is enrolled in one transaction, which stores the account and all its grants, or nothing. Enrolling the
//! same user again changes nothing, because the account exists and owns its subjects.

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

/// Number of random bytes in a generated password.
const PASSWORD_BYTES: usize = 15;

/// A user to enrol.
#[derive(Clone, Debug)]
pub struct Enrolment {
    /// The name of a new account. An existing account keeps its name.
    pub name: String,
    /// The e-mail address, which identifies the account.
    pub email: String,
    /// The role. None makes a new account a learner, and accepts every role of an existing account.
    pub role: Option<Role>,
    /// The password of a new account. None generates a random password. An existing account keeps its password.
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
    /// The code of a subject. None means all subjects of the course that are not archived.
    pub subject: Option<String>,
}

/// The result of an enrolment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enrolled {
    /// Whether the account is new.
    pub is_new: bool,
    /// Number of complimentary purchases that were made. It is 0 if the user owned all subjects.
    pub purchases: usize,
    /// Number of test cards that were created.
    pub test_cards: i64,
    /// The generated password of a new account. None if the account is not new, or if its password was given.
    pub password: Option<String>,
}

/// A reason not to enrol a user. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum EnrolmentRefusal {
    /// A field of the account is not valid.
    #[error(transparent)]
    Account(#[from] RegisterRefusal),
    /// The account exists and has another role.
    #[error(
        "The account has the role {0}. Change the account's role with `jishu user set-role`, or leave the role of this \
         row empty."
    )]
    OtherRole(&'static str),
    /// The account is deactivated, and the enrolment would grant subjects to it.
    #[error("The account is deactivated, so it gets no subjects. Activate it first.")]
    Deactivated,
    /// There is no course with this code.
    #[error("There is no course with the code {0}. Correct the code.")]
    CourseNotFound(String),
    /// The course has no subject with this code.
    #[error("The course {0} has no subject with the code {1}. Correct the code.")]
    SubjectNotFound(String, String),
    /// The course has no subject that is not archived.
    #[error("The course {0} has no subjects on sale.")]
    CourseEmpty(String),
    /// The subjects cannot be granted.
    #[error(transparent)]
    Grant(#[from] GrantRefusal),
    /// The account was deleted, or got another e-mail address, while the user was being enrolled.
    #[error("The account was changed at the same time. Run the import again.")]
    Changed,
    /// A dry run ended. It is a refusal, so that the transaction is rolled back. [`enrol`] converts it to a success.
    #[error("nothing was written")]
    DryRun(Enrolled),
}

impl Refusal for EnrolmentRefusal {}

/// The resources and options for enrolling users.
#[derive(Clone, Copy)]
pub struct EnrolmentResources<'a> {
    /// The database.
    pub database: &'a Database,
    /// Hashes the passwords of new accounts.
    pub passwords: &'a Passwords,
    /// The time of the enrolment.
    pub now: DateTime<Utc>,
    /// Whether to roll the transaction back, so that nothing is stored.
    pub is_dry_run: bool,
}

struct EnrolCommand {
    enrolment: Enrolment,
    email: String,
    selections: Vec<Selection>,
    /// The row of the account to insert. None if the account existed before the transaction.
    new: Option<user::ActiveModel>,
    password: Option<String>,
    /// The papers, for scoring open sittings of entitlements whose term is over.
    papers: Arc<Papers>,
    is_dry_run: bool,
    now: DateTime<Utc>,
}

/// Enrols a user: makes the account if it does not exist, and grants the subjects. A dry run returns the same result,
/// and stores nothing.
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
            // A dry run stores no hash, and hashing would take most of its time.
            password_hash: Set(if is_dry_run { String::new() } else { passwords.hash(password).await? }),
            role: Set(registration.role),
            status: Set(UserStatus::Active),
            // The operator is responsible for the addresses in the file, so they count as verified.
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
    // If the response to COMMIT was lost, a retry finds the account of the first run. The random salt makes its
    // password hash unique, so an equal hash shows that it is the same account. The empty hash of a dry run is not
    // unique, and shows nothing.
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

/// Grants the subjects to the user. Returns the numbers of new purchases and new test cards.
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
        // The price is 0, so the tax is 0 at every rate.
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

/// Finds the subjects with these codes, and makes one selection for each course.
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
