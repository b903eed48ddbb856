//! Limits on guessing passwords, accounts and refresh tokens.

use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest, Sha256};

use super::address::ClientAddress;
use super::bucket::{Buckets, RetryAfter};
use super::{LimitOptions, take_one_of_both};
use crate::bounded_map::BoundedMap;
use crate::security;

/// Number of units that a failed attempt takes from the budget of its network address. A successful sign-in or
/// registration takes 1. A successful exchange of a refresh token takes none.
const UNITS_PER_FAILURE: u32 = 5;
/// An address has a separate budget for the accounts that are known at it: the usual budget of the address times this
/// factor.
const KNOWN_ADDRESS_FACTOR: u32 = 10;
/// Maximum number of database look-ups a minute for one account at one address whose budget is spent. A look-up finds
/// out whether the account is known at this address.
const MAX_LOOK_UPS_PER_MINUTE: u32 = 10;
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
/// Maximum number of remembered pairs of an account and an address, and of remembered refresh tokens. Each of them
/// takes about 60 bytes.
const MAX_REMEMBERED: usize = 100_000;
/// Minimum time between two records in the database that a session of the same account began or continued at the same
/// address.
const RECORD_INTERVAL: TimeDelta = TimeDelta::days(1);

/// A hash that identifies an e-mail address without storing it.
type EmailHash = [u8; 32];

/// A hash that identifies a refresh token without storing it.
type TokenHash = [u8; 32];

/// Limits on sign-in attempts, by network address and by account. Also limits on registrations and on invalid refresh
/// tokens, by network address.
///
/// The budget of an account counts only failures, from all addresses together. So it also stops guesses from many
/// addresses. An account has a separate budget at each known address: an address at which a session of the account
/// began or continued before. So the owner can still sign in from there after strangers have spent the other budgets.
/// If the other budgets are spent, a wrong password at a known address gets the same response as an attempt at an
/// unknown address.
pub struct SignInLimits {
    addresses: Buckets<IpAddr>,
    accounts: Buckets<EmailHash>,
    known_addresses: Buckets<IpAddr>,
    known_accounts: Buckets<(EmailHash, IpAddr)>,
    look_ups: Buckets<(EmailHash, IpAddr)>,
    registrations: Buckets<IpAddr>,
    /// The budgets of the addresses for refused refresh tokens.
    exchanges: Buckets<IpAddr>,
    /// The addresses at which sessions of accounts began or continued on this node, each with the time of the last
    /// record.
    known: Mutex<BoundedMap<(EmailHash, IpAddr), DateTime<Utc>>>,
    /// The hashes of refresh tokens that were refused and can never become valid again. A later attempt with one of
    /// these tokens is not admitted if the budget of its address is spent.
    dead: Mutex<BoundedMap<TokenHash, ()>>,
}

/// A sign-in that was not admitted, because a budget of attempts is spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpentBudget {
    /// How long to wait until the next attempt of this client at this account is admitted.
    pub wait: RetryAfter,
    /// True if the account has too many failures. False if only the client's address has too many attempts.
    pub of_account: bool,
}

/// An admitted attempt. The caller must report how the attempt ended. An attempt that is dropped without a report
/// counts as failed.
#[must_use]
pub struct SignInAttempt<'a> {
    limits: &'a SignInLimits,
    client: ClientAddress,
    charge: Charge,
    has_ended: bool,
    has_failed: bool,
}

/// The kind of an attempt, which says from which budgets the attempt took 1 unit.
#[derive(Clone, Copy)]
enum Charge {
    /// An attempt to sign in to an account. The server has not looked up whether the account is known at this address.
    Stranger(EmailHash),
    /// An attempt to sign in to an account that is known at this address. The other budgets are spent, and `refusal`
    /// says so.
    Known { account: EmailHash, refusal: SpentBudget },
    /// An attempt to make an account.
    Registration,
    /// An attempt to exchange a refresh token. If this deployment issued the token, the attempt is free and took
    /// nothing.
    Exchange { token: TokenHash, is_free: bool },
}

impl SignInLimits {
    /// Makes the limits. The budgets of every client are full at first.
    #[must_use]
    pub fn new(options: &LimitOptions) -> Self {
        let of_addresses = options.sign_ins_per_minute;
        let of_accounts = options.sign_in_failures_per_hour;
        Self {
            addresses: Buckets::new(of_addresses, MINUTE),
            accounts: Buckets::new(of_accounts, HOUR),
            known_addresses: Buckets::new(of_addresses.saturating_mul(KNOWN_ADDRESS_FACTOR), MINUTE),
            known_accounts: Buckets::new(of_accounts, HOUR),
            look_ups: Buckets::new(MAX_LOOK_UPS_PER_MINUTE, MINUTE),
            registrations: Buckets::new(options.registrations_per_hour, HOUR),
            exchanges: Buckets::new(of_addresses, MINUTE),
            known: Mutex::new(BoundedMap::new(MAX_REMEMBERED)),
            dead: Mutex::new(BoundedMap::new(MAX_REMEMBERED)),
        }
    }

    /// Admits an attempt to sign in to the account of this e-mail address. The e-mail address must have its stored
    /// form.
    ///
    /// # Errors
    /// Fails if the network address has too many attempts, or the account has too many failures. If the account
    /// is known at this address, [`SignInLimits::sign_in_where_known`] may still admit the attempt. So the caller logs
    /// the refusal.
    pub fn sign_in(&self, client: ClientAddress, email: &str) -> Result<SignInAttempt<'_>, SpentBudget> {
        let key = hash_of(email);
        let (addresses, accounts) = ((&self.addresses, &client.network()), (&self.accounts, &key));
        take_one_of_both(addresses, accounts).map_err(|(address, account)| SpentBudget {
            wait: address.max(account).unwrap_or(RetryAfter { wait: MINUTE }),
            of_account: account.is_some(),
        })?;
        Ok(self.attempt(client, Charge::Stranger(key)))
    }

    /// Admits an attempt that [`SignInLimits::sign_in`] refused. The caller must have found out that the account
    /// is known at this address.
    ///
    /// # Errors
    /// Returns `refused` again if the separate budget of the account at this address is spent, or the separate budget
    /// of the address.
    pub fn sign_in_where_known(
        &self,
        client: ClientAddress,
        email: &str,
        refused: SpentBudget,
    ) -> Result<SignInAttempt<'_>, SpentBudget> {
        let (key, network) = (hash_of(email), client.network());
        let (addresses, accounts) =
            ((&self.known_addresses, &network), (&self.known_accounts, &(key, network)));
        take_one_of_both(addresses, accounts).map_err(|_spent| refused)?;
        Ok(self.attempt(client, Charge::Known { account: key, refusal: refused }))
    }

    /// Admits an attempt to exchange a refresh token. A token that this deployment issued is admitted even if the
    /// budget of its address is spent, unless the token was refused before.
    ///
    /// # Errors
    /// Fails if too many invalid tokens came from the address, and logs it. The error says how long to wait.
    pub fn exchange(
        &self,
        client: ClientAddress,
        token: &str,
        is_ours: bool,
    ) -> Result<SignInAttempt<'_>, RetryAfter> {
        let key = hash_of(token);
        let is_free = is_ours && lock(&self.dead).get_mut(&key).is_none();
        if !is_free {
            self.exchanges
                .take(&client.network(), 1)
                .inspect_err(|wait| security::too_many_requests(client, "refresh tokens", *wait))?;
        }
        Ok(self.attempt(client, Charge::Exchange { token: key, is_free }))
    }

    /// Admits an attempt to make an account.
    ///
    /// # Errors
    /// Fails if the address has too many attempts, or has made too many accounts, and logs it.
    pub fn register(&self, client: ClientAddress) -> Result<SignInAttempt<'_>, RetryAfter> {
        let network = client.network();
        take_one_of_both((&self.addresses, &network), (&self.registrations, &network))
            .map_err(|(address, registrations)| {
                address.max(registrations).unwrap_or(RetryAfter { wait: MINUTE })
            })
            .inspect_err(|wait| security::too_many_requests(client, "registrations", *wait))?;
        Ok(self.attempt(client, Charge::Registration))
    }

    /// Admits a step of a sign-in at an issuer. The step counts as one sign-in attempt of the address.
    ///
    /// # Errors
    /// Fails if the address has too many attempts, and logs it.
    pub fn begin_elsewhere(&self, client: ClientAddress) -> Result<(), RetryAfter> {
        self.addresses
            .take(&client.network(), 1)
            .inspect_err(|wait| security::too_many_requests(client, "sign-ins", *wait))
    }

    fn attempt(&self, client: ClientAddress, charge: Charge) -> SignInAttempt<'_> {
        SignInAttempt { limits: self, client, charge, has_ended: false, has_failed: false }
    }

    /// Returns whether this node remembers that a session of the account began or continued at this address.
    pub fn knows(&self, client: ClientAddress, email: &str) -> bool {
        lock(&self.known).get_mut(&(hash_of(email), client.network())).is_some()
    }

    /// Returns whether this node remembers that it recorded, less than a day ago, a session of the account that began
    /// or continued at this address.
    pub fn has_recorded(&self, client: ClientAddress, email: &str, now: DateTime<Utc>) -> bool {
        let recorded = lock(&self.known).get_mut(&(hash_of(email), client.network())).copied();
        recorded.is_some_and(|at| now - at < RECORD_INTERVAL)
    }

    /// Remembers on this node that it recorded, at the time `now`, a session of the account that began or continued at
    /// this address.
    pub fn remember(&self, client: ClientAddress, email: &str, now: DateTime<Utc>) {
        lock(&self.known).insert((hash_of(email), client.network()), now);
    }

    /// Returns whether the caller may ask the database if the account is known at this address. Takes 1 from the budget
    /// for such look-ups.
    pub fn may_look_up(&self, client: ClientAddress, email: &str) -> bool {
        self.look_ups.take(&(hash_of(email), client.network()), 1).is_ok()
    }
}

impl SignInAttempt<'_> {
    /// Ends the attempt with success: the client proved to own the account. Puts back the unit that the attempt took
    /// from the account's budget or the budget for refresh tokens. If the account is known at the address, fills its
    /// separate budget at this address.
    pub fn succeeded(mut self) {
        self.has_ended = true;
        let (limits, network) = (self.limits, self.client.network());
        match self.charge {
            // Puts back only the unit of this attempt, so failures of other clients stay counted.
            Charge::Stranger(account) => limits.accounts.put_back(&account, 1),
            Charge::Known { account, .. } => limits.known_accounts.fill(&(account, network)),
            Charge::Exchange { is_free: false, .. } => limits.exchanges.put_back(&network, 1),
            Charge::Exchange { is_free: true, .. } | Charge::Registration => {}
        }
    }

    /// Ends the attempt after the password was right and before the code of the second factor is known. Puts back the
    /// unit that the attempt took from the account's budget, so that a password costs the account nothing. The address
    /// pays for the attempt, because comparing the password is work.
    pub fn half_succeeded(mut self) {
        self.has_ended = true;
        let (limits, network) = (self.limits, self.client.network());
        match self.charge {
            Charge::Stranger(account) => limits.accounts.put_back(&account, 1),
            Charge::Known { account, .. } => limits.known_accounts.put_back(&(account, network), 1),
            Charge::Registration | Charge::Exchange { .. } => {}
        }
    }

    /// Ends the attempt with a failure, which takes more units. If the attempt was admitted only because the account is
    /// known at the address, returns the refusal that the caller must send. Remembers a refused refresh token.
    pub fn failed(mut self) -> Option<SpentBudget> {
        self.has_failed = true;
        match self.charge {
            Charge::Known { refusal, .. } => Some(refusal),
            Charge::Exchange { token, .. } => {
                lock(&self.limits.dead).insert(token, ());
                None
            }
            Charge::Registration => {
                self.limits.registrations.put_back(&self.client.network(), 1);
                None
            }
            Charge::Stranger(_) => None,
        }
    }

    /// Ends the attempt without a result, because the server could not check the credentials. Puts back all units
    /// that the attempt took.
    pub fn undecided(mut self) {
        self.has_ended = true;
        let (limits, network) = (self.limits, self.client.network());
        match self.charge {
            Charge::Stranger(account) => {
                limits.addresses.put_back(&network, 1);
                limits.accounts.put_back(&account, 1);
            }
            Charge::Known { account, .. } => {
                limits.known_addresses.put_back(&network, 1);
                limits.known_accounts.put_back(&(account, network), 1);
            }
            Charge::Registration => {
                limits.addresses.put_back(&network, 1);
                limits.registrations.put_back(&network, 1);
            }
            Charge::Exchange { is_free: false, .. } => limits.exchanges.put_back(&network, 1),
            Charge::Exchange { is_free: true, .. } => {}
        }
    }
}

/// Charges an attempt that did not succeed, and was not undecided. An attempt whose client hung up counts too.
/// Otherwise somebody could guess cheaply without waiting for the responses.
impl Drop for SignInAttempt<'_> {
    fn drop(&mut self) {
        if self.has_ended {
            return;
        }
        let (limits, network) = (self.limits, self.client.network());
        match self.charge {
            Charge::Stranger(_) | Charge::Registration => {
                limits.addresses.take_more(&network, UNITS_PER_FAILURE - 1);
            }
            Charge::Known { .. } => limits.known_addresses.take_more(&network, UNITS_PER_FAILURE - 1),
            Charge::Exchange { is_free: false, .. } => {
                limits.exchanges.take_more(&network, UNITS_PER_FAILURE - 1);
            }
            Charge::Exchange { is_free: true, .. } => {
                // If the budget has too few units, nothing more is taken. The budget is nearly spent then, so that is
                // enough.
                let _ = limits.exchanges.take(&network, UNITS_PER_FAILURE);
            }
        }
        if !self.has_failed && matches!(self.charge, Charge::Stranger(_) | Charge::Known { .. }) {
            security::sign_in_failed(self.client, "abandoned", None);
        }
    }
}

fn hash_of(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
