//! Who may do how much: budgets of operations, and of attempts to sign in; and how much at once.
//!
//! Each node of a deployment counts by itself: behind a balancer over three nodes, a client has up to three times
//! the budget.

mod address;
mod bucket;
mod places;
mod sign_in;

use std::hash::Hash;
use std::net::IpAddr;
use std::time::Duration;

use jishu_entity::UserId;

pub use address::ClientAddress;
pub use bucket::RetryAfter;
pub use places::{PlaceOfKey, PlacesPerKey};
pub use sign_in::{SignInAttempt, SignInLimits, TooMany};

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

    /// Takes the cost of an operation from the budgets of the address and of the user. The cost replaces the 1
    /// that was taken when the request arrived. It is about the number of objects that the operation can return.
    ///
    /// # Errors
    /// Fails if a budget is too small. Then only the 1 stays taken, and the error says when both budgets will have
    /// the whole cost.
    pub fn operation(
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

/// Takes 1 from both budgets. If that fails, takes nothing and returns when both will have it.
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
        let look = |user, client| {
            limits.look(client, true)?;
            limits.look_for(UserId(user))
        };
        let operation = |user, client, cost| {
            look(user, client)?;
            limits.operation(Some(UserId(user)), client, cost)
        };
        assert!(operation(1, client, 60).is_ok());
        assert!(look(1, client).is_err());
        assert!(operation(2, client, 50).is_ok());
        let wait = operation(3, client, 50).unwrap_err();
        assert!((21..=22).contains(&wait.seconds()), "{wait:?}: 43 are missing of 120 a minute");
        assert!(operation(3, other, 59).is_ok(), "only the look was taken from the user");
        assert!(limits.look(client, false).is_ok());
        assert!(limits.operation(None, client, 60).is_ok());
        assert!(limits.look(client, false).is_err());
        assert!(limits.look(client, true).is_ok());
    }
}
