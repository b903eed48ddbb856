//! Who may do how much: budgets of operations, and of attempts to sign in; and how much at once.
//!
//! Each node of a deployment counts by itself: behind a balancer over three nodes, a client has up to three times
//! the budget.

mod address;
mod bucket;
mod places;
mod sign_in;

use std::net::IpAddr;
use std::time::Duration;

use jishu_entity::UserId;

pub use address::ClientAddress;
pub use bucket::RetryAfter;
pub use places::{PlaceOfKey, PlacesPerKey};
pub use sign_in::{SignInAttempt, SignInLimits};

use bucket::Buckets;

/// The subscriptions that each user may have at once.
pub type Subscriptions = PlacesPerKey<UserId>;

/// One of the subscriptions that a user may have, until it is dropped.
pub type SubscriptionPlace = PlaceOfKey<UserId>;

const MINUTE: Duration = Duration::from_secs(60);

/// How much each client may do; 0 is no limit.
#[derive(Clone, Copy, Debug)]
pub struct LimitOptions {
    /// The cost of the operations of one user in a minute.
    pub user_cost_per_minute: u32,
    /// The cost of the operations of those who are not signed in, from one address in a minute.
    pub address_cost_per_minute: u32,
    /// The cost of the operations of all who are signed in, from one address in a minute.
    pub address_users_cost_per_minute: u32,
    /// Accounts made from one address in an hour.
    pub registrations_per_hour: u32,
    /// Attempts to sign in from one address in a minute; one that fails counts as five.
    pub sign_ins_per_minute: u32,
    /// Failed attempts to sign in to one account in an hour.
    pub sign_in_failures_per_hour: u32,
}

/// The budgets of all clients of this node.
pub struct Limits {
    users: Buckets<UserId>,
    addresses: Buckets<IpAddr>,
    /// Of those who are signed in: a school behind one address is many users.
    addresses_of_users: Buckets<IpAddr>,
    /// Attempts to sign in.
    pub sign_in: SignInLimits,
}

impl Limits {
    /// With full budgets for everybody.
    #[must_use]
    pub fn new(options: LimitOptions) -> Self {
        Self {
            users: Buckets::new(options.user_cost_per_minute, MINUTE),
            addresses: Buckets::new(options.address_cost_per_minute, MINUTE),
            addresses_of_users: Buckets::new(options.address_users_cost_per_minute, MINUTE),
            sign_in: SignInLimits::new(&options),
        }
    }

    /// Takes 1 from the budget of an address: for a request to be looked at, whatever becomes of it. What comes with
    /// credentials has the budget of users, so that a stranger behind the same address does not shut them out.
    ///
    /// # Errors
    /// When there is none: it says when there will be.
    pub fn look(&self, client: ClientAddress, has_credentials: bool) -> Result<(), RetryAfter> {
        let addresses = if has_credentials { &self.addresses_of_users } else { &self.addresses };
        addresses.take(&client.network(), 1)
    }

    /// Takes 1 from the budget of a user, for a document to be looked at.
    ///
    /// # Errors
    /// As [`Limits::look`].
    pub fn look_for(&self, user: UserId) -> Result<(), RetryAfter> {
        self.users.take(&user, 1)
    }

    /// Takes the cost of an operation, beside what it cost to be looked at, from the budgets of the address and of
    /// the user. The cost is about the number of objects that the operation can return.
    ///
    /// # Errors
    /// When a budget does not hold it: nothing was taken, and it says when there will be enough.
    pub fn operation(
        &self,
        user: Option<UserId>,
        client: ClientAddress,
        cost: u32,
    ) -> Result<(), RetryAfter> {
        let network = client.network();
        let Some(user) = user else { return self.addresses.take(&network, cost) };
        self.users.take(&user, cost)?;
        self.addresses_of_users.take(&network, cost).inspect_err(|_wait| self.users.put_back(&user, cost))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_behind_one_address_share_a_larger_budget() {
        let limits = Limits::new(LimitOptions {
            user_cost_per_minute: 60,
            address_cost_per_minute: 60,
            address_users_cost_per_minute: 120,
            registrations_per_hour: 0,
            sign_ins_per_minute: 0,
            sign_in_failures_per_hour: 0,
        });
        let client = ClientAddress::new(IpAddr::from([192, 0, 2, 1]));
        let other = ClientAddress::new(IpAddr::from([192, 0, 2, 2]));
        assert!(limits.operation(Some(UserId(1)), client, 60).is_ok());
        assert!(limits.operation(Some(UserId(1)), client, 1).is_err());
        assert!(limits.operation(Some(UserId(2)), client, 50).is_ok());
        assert!(limits.operation(Some(UserId(3)), client, 50).is_err());
        assert!(limits.operation(Some(UserId(3)), other, 60).is_ok(), "nothing was taken from the user");
        assert!(limits.operation(None, client, 60).is_ok());
        assert!(limits.look(client, false).is_err());
        assert!(limits.look(client, true).is_ok());
    }
}
