//! Limits on guessing: passwords, accounts, refresh tokens.

use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest, Sha256};

use super::address::ClientAddress;
use super::bucket::{Buckets, RetryAfter};
use super::{LimitOptions, take_one_of_both};
use crate::bounded::BoundedMap;
use crate::security;

/// What a failed attempt takes from the budget of its address; one that succeeds takes 1.
const COST_OF_A_FAILURE: u32 = 5;
/// Factor for the budget of addresses from which the account signed in before.
const KNOWN_FACTOR: u32 = 10;
/// Number of times a minute that the database is asked whether it knows an account at an address without a budget.
const LOOK_UPS_PER_MINUTE: u32 = 10;
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
/// At some 60 bytes each.
const MOST_REMEMBERED: usize = 100_000;
/// Time after which a sign-in is recorded again.
const REMEMBERED_FOR: TimeDelta = TimeDelta::days(1);

/// Stands for an e-mail address without keeping it.
type AccountKey = [u8; 32];

/// A hash that identifies a refresh token without storing it.
type TokenKey = [u8; 32];

/// Limits on sign-in attempts, by address and by account, and on refresh tokens that do not work.
///
/// Guesses of one account's password from many addresses reach the limit of the account, which counts only
/// failures. An account that signed in before from an address has a budget of its own there. If the budget of the
/// address or of the account is spent, its owner can still sign in. A wrong password then gets the same response
/// as a spent budget.
pub struct SignInLimits {
    addresses: Buckets<IpAddr>,
    accounts: Buckets<AccountKey>,
    known_addresses: Buckets<IpAddr>,
    known_accounts: Buckets<(AccountKey, IpAddr)>,
    look_ups: Buckets<(AccountKey, IpAddr)>,
    registrations: Buckets<IpAddr>,
    /// Counts the refresh tokens that do not work.
    exchanges: Buckets<IpAddr>,
    /// The addresses from which accounts signed in on this node, and when that was recorded.
    known: Mutex<BoundedMap<(AccountKey, IpAddr), DateTime<Utc>>>,
    /// Refresh tokens that will never work again.
    dead: Mutex<BoundedMap<TokenKey, ()>>,
}

/// The spent budget, and the time until it has units again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMany {
    /// When the next attempt is admitted.
    pub wait: RetryAfter,
    /// Whether the account has too many failures. Otherwise its address has too many attempts.
    pub of_account: bool,
}

/// An attempt that may go on. Say how it ended; one that is dropped has failed.
#[must_use]
pub struct SignInAttempt<'a> {
    limits: &'a SignInLimits,
    client: ClientAddress,
    paid: Paid,
    has_ended: bool,
    has_failed: bool,
}

/// The budgets from which an attempt took 1.
#[derive(Clone, Copy)]
enum Paid {
    Stranger(AccountKey),
    Known(AccountKey, TooMany),
    Registration,
    /// A refresh token. True if a node of ours made it: then nothing was taken.
    Exchange(TokenKey, bool),
}

impl SignInLimits {
    /// With full budgets for everybody.
    #[must_use]
    pub fn new(options: &LimitOptions) -> Self {
        let of_addresses = options.sign_ins_per_minute;
        let of_accounts = options.sign_in_failures_per_hour;
        Self {
            addresses: Buckets::new(of_addresses, MINUTE),
            accounts: Buckets::new(of_accounts, HOUR),
            known_addresses: Buckets::new(of_addresses.saturating_mul(KNOWN_FACTOR), MINUTE),
            known_accounts: Buckets::new(of_accounts, HOUR),
            look_ups: Buckets::new(LOOK_UPS_PER_MINUTE, MINUTE),
            registrations: Buckets::new(options.registrations_per_hour, HOUR),
            exchanges: Buckets::new(of_addresses, MINUTE),
            known: Mutex::new(BoundedMap::new(MOST_REMEMBERED)),
            dead: Mutex::new(BoundedMap::new(MOST_REMEMBERED)),
        }
    }

    /// An attempt to sign in to the account of this e-mail address, folded as it is stored.
    ///
    /// # Errors
    /// Fails if the address or the account has too many attempts. An account that is known there has another
    /// budget: [`SignInLimits::sign_in_where_known`].
    pub fn sign_in(&self, client: ClientAddress, email: &str) -> Result<SignInAttempt<'_>, TooMany> {
        let key = account_key(email);
        let (addresses, accounts) = ((&self.addresses, &client.network()), (&self.accounts, &key));
        take_one_of_both(addresses, accounts).map_err(|(address, account)| TooMany {
            wait: address.max(account).unwrap_or(RetryAfter(MINUTE)),
            of_account: account.is_some(),
        })?;
        Ok(self.attempt(client, Paid::Stranger(key)))
    }

    /// Admits a refused attempt if the account signed in from this address before.
    ///
    /// # Errors
    /// Returns the first refusal again if that account has too many failures from there.
    pub fn sign_in_where_known(
        &self,
        client: ClientAddress,
        email: &str,
        refused: TooMany,
    ) -> Result<SignInAttempt<'_>, TooMany> {
        let (key, network) = (account_key(email), client.network());
        let (addresses, accounts) =
            ((&self.known_addresses, &network), (&self.known_accounts, &(key, network)));
        take_one_of_both(addresses, accounts).map_err(|_spent| refused)?;
        Ok(self.attempt(client, Paid::Known(key, refused)))
    }

    /// Admits an attempt to exchange a refresh token. A token that a node of ours made is admitted whatever others
    /// send from the same address, unless it was refused before.
    ///
    /// # Errors
    /// Fails if too many tokens that do not work came from the address.
    pub fn exchange(
        &self,
        client: ClientAddress,
        token: &str,
        is_ours: bool,
    ) -> Result<SignInAttempt<'_>, RetryAfter> {
        let key = account_key(token);
        let is_free = is_ours && lock(&self.dead).get_mut(&key).is_none();
        if !is_free {
            self.exchanges.take(&client.network(), 1)?;
        }
        Ok(self.attempt(client, Paid::Exchange(key, is_free)))
    }

    /// An attempt to make an account.
    ///
    /// # Errors
    /// When the address has had too many, or has made too many accounts.
    pub fn register(&self, client: ClientAddress) -> Result<SignInAttempt<'_>, RetryAfter> {
        let network = client.network();
        take_one_of_both((&self.addresses, &network), (&self.registrations, &network))
            .map_err(|(address, registrations)| address.max(registrations).unwrap_or(RetryAfter(MINUTE)))?;
        Ok(self.attempt(client, Paid::Registration))
    }

    fn attempt(&self, client: ClientAddress, paid: Paid) -> SignInAttempt<'_> {
        SignInAttempt { limits: self, client, paid, has_ended: false, has_failed: false }
    }

    /// Whether this node knows that the account signed in from this address.
    pub fn knows(&self, client: ClientAddress, email: &str) -> bool {
        lock(&self.known).get_mut(&(account_key(email), client.network())).is_some()
    }

    /// Whether this node knows that this was recorded a short while ago.
    pub fn has_recorded(&self, client: ClientAddress, email: &str, now: DateTime<Utc>) -> bool {
        let recorded = lock(&self.known).get_mut(&(account_key(email), client.network())).copied();
        recorded.is_some_and(|at| now - at < REMEMBERED_FOR)
    }

    /// Records on this node that the account signed in from this address.
    pub fn remember(&self, client: ClientAddress, email: &str, now: DateTime<Utc>) {
        lock(&self.known).insert((account_key(email), client.network()), now);
    }

    /// Whether the database may be asked if it knows the account at this address.
    pub fn may_look_up(&self, client: ClientAddress, email: &str) -> bool {
        self.look_ups.take(&(account_key(email), client.network()), 1).is_ok()
    }
}

impl SignInAttempt<'_> {
    /// Ends the attempt with success: the client proved to own the account.
    pub fn succeeded(mut self) {
        self.has_ended = true;
        let (limits, network) = (self.limits, self.client.network());
        match self.paid {
            // The guesses of others stay counted.
            Paid::Stranger(account) => limits.accounts.put_back(&account, 1),
            Paid::Known(account, _) => limits.known_accounts.fill(&(account, network)),
            Paid::Exchange(_, false) => limits.exchanges.put_back(&network, 1),
            Paid::Exchange(_, true) | Paid::Registration => {}
        }
    }

    /// Ends the attempt with a failure. Returns the refusal to send if only the budget of a known account was
    /// open.
    pub fn failed(mut self) -> Option<TooMany> {
        self.has_failed = true;
        match self.paid {
            Paid::Known(_, refused) => Some(refused),
            Paid::Exchange(token, _) => {
                lock(&self.limits.dead).insert(token, ());
                None
            }
            Paid::Registration => {
                self.limits.registrations.put_back(&self.client.network(), 1);
                None
            }
            Paid::Stranger(_) => None,
        }
    }

    /// It could not be told whether it was right: a fault of ours.
    pub fn undecided(mut self) {
        self.has_ended = true;
        let (limits, network) = (self.limits, self.client.network());
        match self.paid {
            Paid::Stranger(account) => {
                limits.addresses.put_back(&network, 1);
                limits.accounts.put_back(&account, 1);
            }
            Paid::Known(account, _) => {
                limits.known_addresses.put_back(&network, 1);
                limits.known_accounts.put_back(&(account, network), 1);
            }
            Paid::Registration => {
                limits.addresses.put_back(&network, 1);
                limits.registrations.put_back(&network, 1);
            }
            Paid::Exchange(_, false) => limits.exchanges.put_back(&network, 1),
            Paid::Exchange(_, true) => {}
        }
    }
}

/// Also where its client hung up and is told nothing: else guesses of which the client awaits no answer would be
/// cheap.
impl Drop for SignInAttempt<'_> {
    fn drop(&mut self) {
        if self.has_ended {
            return;
        }
        let (limits, network) = (self.limits, self.client.network());
        match self.paid {
            Paid::Stranger(_) | Paid::Registration => {
                limits.addresses.take_more(&network, COST_OF_A_FAILURE - 1);
            }
            Paid::Known(..) => limits.known_addresses.take_more(&network, COST_OF_A_FAILURE - 1),
            Paid::Exchange(_, false) => limits.exchanges.take_more(&network, COST_OF_A_FAILURE - 1),
            Paid::Exchange(_, true) => {
                // If fewer units are left, the budget is spent in any case.
                let _ = limits.exchanges.take(&network, COST_OF_A_FAILURE);
            }
        }
        if !self.has_failed && matches!(self.paid, Paid::Stranger(_) | Paid::Known(..)) {
            security::sign_in_failed(self.client, "abandoned", None);
        }
    }
}

fn account_key(email: &str) -> AccountKey {
    Sha256::digest(email.as_bytes()).into()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
