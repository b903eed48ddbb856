//! Requests of strangers about accounts. The server responds to such a request before it carries the request out.
//!
//! Neither the response nor its time shows whether an e-mail address has an account: the request only enters a queue.
//! A task of this node carries out the requests in the queue. If the node dies, the waiting requests are lost.
//! Nothing of them was committed, and the people must send them again.

use std::convert::Infallible;

use jishu_entity::account_link::LinkPurpose;
use jishu_entity::user::{self, UserStatus};
use jishu_service_macros::service_call;
use tokio::sync::{Mutex, mpsc};

use super::links::{self, NewLink};
use super::validation::{MAX_EMAIL_BYTES, fold_email};
use super::{RegisterRefusal, by_email, store};
use crate::Services;
use crate::database::{WritePolicy, lock_user};
use crate::error::{Error, Fault, Refusal};
use crate::limit::{ClientAddress, MailCause, RetryAfter};
use crate::mail::MailKind;

/// Maximum number of requests that wait. Further requests are refused.
const QUEUE_SIZE: usize = 1_000;

/// The queue of the requests of strangers on one node.
#[derive(Debug)]
pub struct AccountRequests {
    sender: mpsc::Sender<AccountRequest>,
    /// The lock lets a restarted task take the receiver after a panic.
    receiver: Mutex<mpsc::Receiver<AccountRequest>>,
}

/// A request of a stranger in the queue.
#[derive(Debug)]
pub(super) enum AccountRequest {
    /// Sends a link with which the owner of this address can choose a new password.
    ResetPassword { email: String },
    /// Makes an account, or tells the owner of the address that it has an account already.
    Register { row: Box<user::ActiveModel>, email: String },
    /// Sends another link to verify the address of this account.
    Verify { user: Box<user::Model> },
}

impl Default for AccountRequests {
    fn default() -> Self {
        let (sender, receiver) = mpsc::channel(QUEUE_SIZE);
        Self { sender, receiver: Mutex::new(receiver) }
    }
}

impl AccountRequests {
    /// Adds a request to the queue. Fails with [`Fault::Busy`] if the queue is full.
    pub(super) fn add(&self, request: AccountRequest) -> Result<(), Fault> {
        self.sender.try_send(request).map_err(|_full| Fault::Busy)
    }
}

/// A reason not to accept a request for a new password.
#[derive(Debug, thiserror::Error)]
pub enum PasswordResetRefusal {
    /// Too many mails were sent to this address, or too many requests came from this client.
    #[error("Too many mails. Try again in {} seconds.", .0.seconds())]
    TooMany(RetryAfter),
}

impl Refusal for PasswordResetRefusal {}

/// Queues a request for a new password. If an active account has the address, a mail with a link follows. The budgets
/// for mails are charged for every address, so they do not show which addresses have accounts.
///
/// # Errors
/// See [`PasswordResetRefusal`].
pub fn request_password_reset(
    services: &Services,
    client: ClientAddress,
    email: &str,
) -> Result<(), Error<PasswordResetRefusal>> {
    let email = fold_email(email);
    services
        .limits
        .mail
        .take(client, &email, MailCause::NewPassword)
        .map_err(PasswordResetRefusal::TooMany)?;
    if email.len() > MAX_EMAIL_BYTES {
        return Ok(());
    }
    Ok(services.account_requests.add(AccountRequest::ResetPassword { email })?)
}

/// Carries out the requests in the queue, one after the other, until the task is dropped. Logs each failure.
#[service_call]
pub async fn keep_answering(services: Services) {
    let mut receiver = services.account_requests.receiver.lock().await;
    while let Some(request) = receiver.recv().await {
        if let Err(error) = carry_out(&services, request).await {
            tracing::warn!(%error, "a request about an account could not be carried out; its sender must repeat it");
        }
    }
}

async fn carry_out(services: &Services, request: AccountRequest) -> Result<(), Fault> {
    match request {
        AccountRequest::ResetPassword { email } => {
            let user = by_email(services.database.reader(), &email).await?;
            let Some(user) = user.filter(|user| user.status == UserStatus::Active) else { return Ok(()) };
            let link = NewLink::new(services, LinkPurpose::ResetPassword, &user.email)?;
            links::send(services, user.id, link).await
        }
        AccountRequest::Verify { user } => {
            let link = NewLink::new(services, LinkPurpose::VerifyEmail, &user.email)?;
            links::send(services, user.id, link).await
        }
        AccountRequest::Register { row, email } => {
            let link = NewLink::new(services, LinkPurpose::VerifyEmail, &email)?;
            match store(&services.database, *row, None, Some(link)).await {
                Ok(_user) => {
                    services.outbox.wake();
                    Ok(())
                }
                Err(Error::Refused(RegisterRefusal::EmailTaken)) => tell_owner(services, &email).await,
                // The fields and the budgets were checked before the request entered the queue, so these refusals do
                // not happen.
                Err(Error::Refused(RegisterRefusal::Invalid(_) | RegisterRefusal::TooMany(_))) => Ok(()),
                Err(Error::Failed(fault)) => Err(fault),
            }
        }
    }
}

/// Tells the owner of an address by mail that somebody tried to use it for another account. Does nothing if no
/// account has the address.
async fn tell_owner(services: &Services, email: &str) -> Result<(), Fault> {
    let Some(user) = by_email(services.database.reader(), email).await? else { return Ok(()) };
    let mail = links::notice(services, MailKind::AlreadyRegistered, &user.email)?;
    let policy = WritePolicy::not_idempotent("account.tell_owner");
    let told = services.database.write_for(user.id, policy, (user.id, mail), |transaction, (owner, mail)| {
        Box::pin(async move {
            // The account may have been deleted meanwhile. Then no mail is sent.
            if lock_user(transaction, *owner).await?.is_some() {
                mail.append(transaction, Some(*owner)).await?;
            }
            Ok::<_, Error<Infallible>>(())
        })
    });
    told.await?;
    services.outbox.wake();
    Ok(())
}
