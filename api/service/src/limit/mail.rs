//! Limits on the mails that strangers and users can cause.

use std::net::IpAddr;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::address::ClientAddress;
use super::bucket::{Buckets, RetryAfter};
use super::{LimitOptions, take_one_of_both};
use crate::security;

const HOUR: Duration = Duration::from_secs(60 * 60);

/// Budgets for mails: one for each receiver, so that nobody is flooded, and one for each client.
///
/// An e-mail address is counted whether or not it has an account. So the budgets do not show which addresses have
/// accounts.
pub struct MailLimits {
    /// The budgets of e-mail addresses. The key is a hash, so that no address is stored.
    receivers: Buckets<[u8; 32]>,
    clients: Buckets<IpAddr>,
}

impl MailLimits {
    /// Makes the limits. The budgets of every client and receiver are full at first.
    #[must_use]
    pub(super) fn new(options: &LimitOptions) -> Self {
        Self {
            receivers: Buckets::new(options.mails_per_receiver_per_hour, HOUR),
            clients: Buckets::new(options.mail_requests_per_hour, HOUR),
        }
    }

    /// Admits a request that may send a mail to this e-mail address. Takes 1 from the budgets of the client and of
    /// the receiver. The address must have its stored form.
    ///
    /// # Errors
    /// Fails if one of the two budgets is spent, and logs it. The error says how long to wait.
    pub fn take(&self, client: ClientAddress, receiver: &str) -> Result<(), RetryAfter> {
        self.take_unlogged(client, receiver)
            .inspect_err(|wait| security::too_many_requests(client, "mails", *wait))
    }

    /// Takes 1 from both budgets as [`MailLimits::take`] does, for a mail that the server may leave out. Returns
    /// false if one of the two budgets is spent. That is no refusal, so it is not logged.
    #[must_use]
    pub fn take_for_optional_mail(&self, client: ClientAddress, receiver: &str) -> bool {
        self.take_unlogged(client, receiver).is_ok()
    }

    fn take_unlogged(&self, client: ClientAddress, receiver: &str) -> Result<(), RetryAfter> {
        let (client, receiver) = (client.network(), Sha256::digest(receiver.as_bytes()).into());
        take_one_of_both((&self.clients, &client), (&self.receivers, &receiver)).map_err(
            |(of_client, of_receiver)| of_client.max(of_receiver).unwrap_or(RetryAfter { wait: HOUR }),
        )
    }
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
        assert!(limits.take(client(1), "a@example.com").is_ok());
        assert!(limits.take(client(2), "a@example.com").is_ok());
        assert!(limits.take(client(3), "a@example.com").is_err(), "the receiver got a third mail");
        for receiver in ["b@example.com", "c@example.com", "d@example.com"] {
            assert!(limits.take(client(1), receiver).is_ok());
        }
        assert!(limits.take(client(1), "e@example.com").is_err(), "the client caused a fifth mail");
        assert!(limits.take(client(2), "e@example.com").is_ok());
    }
}
