//! Who may do how much: budgets of operations, and of attempts to sign in.
//!
//! Each node of a deployment counts by itself: behind a balancer over three nodes, a client has up to three times
//! the budget.

mod address;
mod bucket;
mod sign_in;

use std::net::IpAddr;
use std::time::Duration;

use jishu_entity::UserId;

pub use address::ClientAddress;
pub use bucket::RetryAfter;
pub use sign_in::{SignInAttempt, SignInLimits};

use bucket::Buckets;

const MINUTE: Duration = Duration::from_secs(60);

/// How much each client may do; 0 is no limit.
#[derive(Clone, Copy, Debug)]
pub struct LimitOptions {
    /// The cost of the operations of one user in a minute.
    pub user_cost_per_minute: u32,
    /// The cost of the operations of those who are not signed in, from one address in a minute.
    pub address_cost_per_minute: u32,
    /// Attempts to sign in from one address in a minute; one that fails counts as five.
    pub sign_ins_per_minute: u32,
    /// Failed attempts to sign in to one account in an hour.
    pub sign_in_failures_per_hour: u32,
}

/// The budgets of all clients of this node.
pub struct Limits {
    users: Buckets<UserId>,
    addresses: Buckets<IpAddr>,
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
            sign_in: SignInLimits::new(options.sign_ins_per_minute, options.sign_in_failures_per_hour),
        }
    }

    /// Takes the cost of an operation from the budget of the user, or of the address if nobody is signed in: a
    /// school behind one address is many users. The cost is about the number of objects that the operation can
    /// return.
    ///
    /// # Errors
    /// When the budget does not hold it: nothing was taken, and it says when there will be enough.
    pub fn operation(
        &self,
        user: Option<UserId>,
        client: ClientAddress,
        cost: u32,
    ) -> Result<(), RetryAfter> {
        match user {
            Some(user) => self.users.take(&user, cost),
            None => self.addresses.take(&client.network(), cost),
        }
    }
}
