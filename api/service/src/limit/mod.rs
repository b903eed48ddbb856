//! Limits on clients: budgets for operations, sign-in attempts and mails, and maximum numbers of connections and
//! subscriptions at once.
//!
//! Each node of a deployment counts separately. Behind a load balancer with three nodes, a client has up to three
//! times the budget.

pub(crate) mod address;
pub(crate) mod bucket;
mod mail;
mod permits;
mod sign_in;

use std::hash::Hash;
use std::net::IpAddr;
use std::time::Duration;

use jishu_entity::UserId;

pub use address::ClientAddress;
pub use bucket::RetryAfter;
pub use mail::{MailCause, MailLimits};
pub use permits::{KeyPermit, PermitsPerKey};
pub use sign_in::{SignInAttempt, SignInLimits, SpentBudget};

use bucket::Buckets;

/// The permits for the subscriptions that each user may have at once.
pub type SubscriptionPermits = PermitsPerKey<UserId>;

/// The permit of one subscription. Dropping this value makes the permit free again.
pub type SubscriptionPermit = KeyPermit<UserId>;

const MINUTE: Duration = Duration::from_secs(60);

/// The limits on each client; 0 means no limit.
#[derive(Clone, Copy, Debug, Default)]
pub struct LimitOptions {
    /// Maximum cost of the operations of one user in a minute.
    pub user_cost_per_minute: u32,
    /// Maximum cost of anonymous operations from one address in a minute.
    pub address_cost_per_minute: u32,
    /// Maximum cost of the operations of all signed-in users at one address in a minute.
    pub address_users_cost_per_minute: u32,
    /// Maximum number of accounts made from one address in an hour.
    pub registrations_per_hour: u32,
    /// Maximum number of sign-in attempts from one address in a minute. A failed attempt counts as five.
    pub sign_ins_per_minute: u32,
    /// Maximum number of failed attempts to sign in to one account in an hour.
    pub sign_in_failures_per_hour: u32,
    /// Maximum number of mails to one e-mail address in an hour, for each [`MailCause`].
    pub mails_per_receiver_per_hour: u32,
    /// Maximum number of requests from one address in an hour that can cause a mail.
    pub mail_requests_per_hour: u32,
}

/// The budgets of all clients of this node.
pub struct ClientLimits {
    users: Buckets<UserId>,
    addresses: Buckets<IpAddr>,
    /// The budgets of addresses for signed-in users. They are separate from the budgets of anonymous clients, and
    /// usually larger, because a school has many users behind one address.
    addresses_of_users: Buckets<IpAddr>,
    /// The limits on sign-in attempts.
    pub sign_in: SignInLimits,
    /// The limits on mails.
    pub mail: MailLimits,
}

impl ClientLimits {
    /// Makes the limits. The budgets of every client are full at first.
    #[must_use]
    pub fn new(options: LimitOptions) -> Self {
        Self {
            users: Buckets::new(options.user_cost_per_minute, MINUTE),
            addresses: Buckets::new(options.address_cost_per_minute, MINUTE),
            addresses_of_users: Buckets::new(options.address_users_cost_per_minute, MINUTE),
            sign_in: SignInLimits::new(&options),
            mail: MailLimits::new(&options),
        }
    }

    /// Takes 1 from a budget of an address when a request arrives, whatever its result. A request with credentials
    /// uses the budget for signed-in users. So a stranger behind the same address cannot lock the users out.
    ///
    /// # Errors
    /// Fails if the budget is spent. The error says how long to wait until the next unit is available.
    pub fn take_for_request(&self, client: ClientAddress, has_credentials: bool) -> Result<(), RetryAfter> {
        let addresses = if has_credentials { &self.addresses_of_users } else { &self.addresses };
        addresses.take(&client.network(), 1)
    }

    /// Takes 1 from the budget of a user when a document of this user arrives.
    ///
    /// # Errors
    /// Fails if the budget is spent. The error says how long to wait until the next unit is available.
    pub fn take_for_document(&self, user: UserId) -> Result<(), RetryAfter> {
        self.users.take(&user, 1)
    }

    /// Takes the cost of an operation from the budgets of the address and of the user, or from the budget of the
    /// address alone if there is no user. The cost is about the number of objects that the operation can return. The
    /// cost replaces the 1 unit that [`take_for_request`](Self::take_for_request) took from the address, and the 1 unit
    /// that [`take_for_document`](Self::take_for_document) took from the user.
    ///
    /// # Errors
    /// Fails if a budget has too few units. Then only the 1 unit of each budget stays taken, and the error says how
    /// long to wait until both budgets have the whole cost.
    pub fn take_for_operation(
        &self,
        user: Option<UserId>,
        client: ClientAddress,
        cost: u32,
    ) -> Result<(), RetryAfter> {
        let network = client.network();
        let Some(user) = user else { return self.addresses.take_instead_of_one(&network, cost) };
        let of_user = self.users.take_instead_of_one(&user, cost);
        let of_address = self.addresses_of_users.take_instead_of_one(&network, cost);
        match (of_user, of_address) {
            (Ok(()), Ok(())) => Ok(()),
            (Err(wait), Err(other)) => Err(wait.max(other)),
            (Ok(()), Err(wait)) => {
                self.users.put_back_but_one(&user, cost);
                Err(self.users.wait(&user, cost).map_or(wait, |other| wait.max(other)))
            }
            (Err(wait), Ok(())) => {
                self.addresses_of_users.put_back_but_one(&network, cost);
                Err(self.addresses_of_users.wait(&network, cost).map_or(wait, |other| wait.max(other)))
            }
        }
    }
}

/// Takes 1 from both budgets. If one of them is spent, takes nothing, and returns two waits: for the first budget and
/// for the second budget. The wait is None for a budget that is not spent.
fn take_one_of_both<A: Clone + Eq + Hash, B: Clone + Eq + Hash>(
    (first, a): (&Buckets<A>, &A),
    (second, b): (&Buckets<B>, &B),
) -> Result<(), (Option<RetryAfter>, Option<RetryAfter>)> {
    match (first.take(a, 1), second.take(b, 1)) {
        (Ok(()), Ok(())) => Ok(()),
        (of_first, of_second) => {
            if of_first.is_ok() {
                first.put_back(a, 1);
            }
            if of_second.is_ok() {
                second.put_back(b, 1);
            }
            Err((of_first.err(), of_second.err()))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tracing::span::{Attributes, Id, Record};
    use tracing::subscriber::with_default;
    use tracing::{Event, Metadata, Subscriber};

    use super::*;

    /// A subscriber that counts the lines of the security log.
    #[derive(Clone, Default)]
    struct SecurityLines(Arc<AtomicUsize>);

    impl Subscriber for SecurityLines {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            metadata.target() == "jishu::security"
        }

        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }

        fn record(&self, _: &Id, _: &Record<'_>) {}

        fn record_follows_from(&self, _: &Id, _: &Id) {}

        fn event(&self, _: &Event<'_>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }

        fn enter(&self, _: &Id) {}

        fn exit(&self, _: &Id) {}
    }

    #[test]
    fn each_refusal_of_a_sign_in_or_a_mail_is_logged_once() {
        let limits = ClientLimits::new(LimitOptions {
            registrations_per_hour: 1,
            sign_ins_per_minute: 1,
            mail_requests_per_hour: 1,
            ..LimitOptions::default()
        });
        let client = ClientAddress::new(IpAddr::from([192, 0, 2, 1]));
        let receiver = "asha@example.com";
        limits.sign_in.register(client).unwrap().succeeded();
        limits.sign_in.exchange(client, "jrt_guess", false).unwrap().failed();
        limits.mail.take(client, receiver, MailCause::OwnAccount).unwrap();
        let lines = SecurityLines::default();
        with_default(lines.clone(), || {
            assert!(limits.sign_in.register(client).is_err());
            assert!(limits.sign_in.begin_elsewhere(client).is_err());
            assert!(limits.sign_in.exchange(client, "jrt_guess", false).is_err());
            assert!(limits.mail.take(client, receiver, MailCause::OwnAccount).is_err());
            assert_eq!(lines.0.load(Ordering::Relaxed), 4);
            assert!(limits.mail.take_for_reminder(client, receiver));
        });
    }

    #[test]
    fn users_behind_one_address_share_a_larger_budget() {
        let limits = ClientLimits::new(LimitOptions {
            user_cost_per_minute: 60,
            address_cost_per_minute: 60,
            address_users_cost_per_minute: 120,
            ..LimitOptions::default()
        });
        let client = ClientAddress::new(IpAddr::from([192, 0, 2, 1]));
        let other = ClientAddress::new(IpAddr::from([192, 0, 2, 2]));
        let request = |user, client| {
            limits.take_for_request(client, true)?;
            limits.take_for_document(UserId(user))
        };
        let operation = |user, client, cost| {
            request(user, client)?;
            limits.take_for_operation(Some(UserId(user)), client, cost)
        };
        assert!(operation(1, client, 60).is_ok());
        assert!(request(1, client).is_err());
        assert!(operation(2, client, 50).is_ok());
        let wait = operation(3, client, 50).unwrap_err();
        assert!((21..=22).contains(&wait.seconds()), "{wait:?}: 43 are missing of 120 a minute");
        assert!(operation(3, other, 59).is_ok(), "the refusal took more than 1 from the user's budget");
        assert!(limits.take_for_request(client, false).is_ok());
        assert!(limits.take_for_operation(None, client, 60).is_ok());
        assert!(limits.take_for_request(client, false).is_err());
        assert!(limits.take_for_request(client, true).is_ok());
    }
}
