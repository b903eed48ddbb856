//! Limits on the mails that strangers and users can cause.

use std::net::IpAddr;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::address::ClientAddress;
use super::bucket::{Buckets, RetryAfter};
use super::{LimitOptions, take_one_of_both};
use crate::security;

const HOUR: Duration = Duration::from_secs(60 * 60);

/// The kind of a request that can cause a mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MailCause {
    /// The request is for a new password. Anybody can make it, but each mail gives the receiver a link that works.
    NewPassword,
    /// A user who is signed in asks for a link to verify the address of the account, or to delete the account.
    OwnAccount,
    /// Anybody can make the request about any address: a registration, a new address of an account, or a request to a
    /// guardian.
    Anybody,
}

/// A hash that identifies an e-mail address without storing it.
type ReceiverHash = [u8; 32];

/// Budgets for mails: for each receiver, so that nobody is flooded, and for each client.
///
/// A receiver has a budget for each [`MailCause`]. Otherwise strangers could use up the budget by which the owner of an
/// account gets a new password, without sending the owner a link to it.
///
/// An e-mail address is counted whether or not it has an account. So the budgets do not show which addresses have
/// accounts.
pub struct MailLimits {
    receivers: Buckets<(MailCause, ReceiverHash)>,
    /// The budgets of e-mail addresses, and of clients, for reminders. No response depends on them.
    reminders: Buckets<ReceiverHash>,
    reminders_of_clients: Buckets<IpAddr>,
    clients: Buckets<IpAddr>,
}

impl MailLimits {
    /// Makes the limits. The budgets of every client and receiver are full at first.
    #[must_use]
    pub(super) fn new(options: &LimitOptions) -> Self {
        Self {
            receivers: Buckets::new(options.mails_per_receiver_per_hour, HOUR),
            reminders: Buckets::new(options.mails_per_receiver_per_hour, HOUR),
            reminders_of_clients: Buckets::new(options.mail_requests_per_hour, HOUR),
            clients: Buckets::new(options.mail_requests_per_hour, HOUR),
        }
    }

    /// Admits a request that may send a mail to this e-mail address. Takes 1 from the budgets of the client and of
    /// the receiver. The address must have its stored form.
    ///
    /// # Errors
    /// Fails if one of the two budgets is spent, and logs it. The error says how long to wait.
    pub fn take(&self, client: ClientAddress, receiver: &str, cause: MailCause) -> Result<(), RetryAfter> {
        let (network, receiver) = (client.network(), (cause, hash_of(receiver)));
        take_one_of_both((&self.clients, &network), (&self.receivers, &receiver))
            .map_err(|(of_client, of_receiver)| {
                of_client.max(of_receiver).unwrap_or(RetryAfter { wait: HOUR })
            })
            .inspect_err(|wait| security::too_many_requests(client, "mails", *wait))
    }

    /// Admits a reminder to verify this e-mail address, which the server may leave out. Takes 1 from separate budgets of
    /// the client and of the receiver. If it took from another budget, later responses would show that a password was
    /// right.
    #[must_use]
    pub fn take_for_reminder(&self, client: ClientAddress, receiver: &str) -> bool {
        let (network, receiver) = (client.network(), hash_of(receiver));
        take_one_of_both((&self.reminders_of_clients, &network), (&self.reminders, &receiver)).is_ok()
    }
}

fn hash_of(receiver: &str) -> ReceiverHash {
    Sha256::digest(receiver.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receiver_and_a_client_have_budgets_of_their_own() {
        let limits = MailLimits::new(&LimitOptions {
            mails_per_receiver_per_hour: 2,
            mail_requests_per_hour: 4,
            ..LimitOptions::default()
        });
        let client = |last| ClientAddress::new(IpAddr::from([192, 0, 2, last]));
        let take = |last, receiver| limits.take(client(last), receiver, MailCause::Anybody);
        assert!(take(1, "a@example.com").is_ok());
        assert!(take(2, "a@example.com").is_ok());
        assert!(take(3, "a@example.com").is_err(), "the receiver got a third mail");
        assert!(limits.take(client(3), "a@example.com", MailCause::OwnAccount).is_ok());
        for receiver in ["b@example.com", "c@example.com", "d@example.com"] {
            assert!(take(1, receiver).is_ok());
        }
        assert!(take(1, "e@example.com").is_err(), "the client caused a fifth mail");
        assert!(take(2, "e@example.com").is_ok());
        let remind = |last| limits.take_for_reminder(client(last), "a@example.com");
        assert!(remind(1) && remind(2));
        assert!(!remind(3), "the receiver got a third reminder");
    }
}
