//! Limits on the mails that strangers and users can cause.

use std::net::IpAddr;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::address::ClientAddress;
use super::bucket::{Buckets, RetryAfter};
use super::{LimitOptions, take_one_of_both};

const HOUR: Duration = Duration::from_secs(60 * 60);

/// Limits on mails: for each receiver, so that nobody is flooded, and for each client.
///
/// They count an e-mail address whether or not it has an account, so they do not show which have one.
pub struct MailLimits {
    /// The budgets of e-mail addresses. The key is a hash, so that no address is stored.
    receivers: Buckets<[u8; 32]>,
    clients: Buckets<IpAddr>,
}

impl MailLimits {
    /// Makes limits with full budgets for everybody.
    #[must_use]
    pub(super) fn new(options: &LimitOptions) -> Self {
        Self {
            receivers: Buckets::new(options.mails_per_receiver_per_hour, HOUR),
            clients: Buckets::new(options.mail_requests_per_hour, HOUR),
        }
    }

    /// Admits a request that may send a mail to this e-mail address, which is in the form in which it is stored.
    ///
    /// # Errors
    /// Fails if the client or the receiver has had too many.
    pub fn take(&self, client: ClientAddress, receiver: &str) -> Result<(), RetryAfter> {
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
