//! Limits on guessing: passwords, accounts, refresh tokens.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::LimitOptions;
use super::address::ClientAddress;
use super::bucket::{Buckets, RetryAfter};
use crate::bounded::BoundedMap;

/// What a failed attempt takes from the budget of its address; one that succeeds takes 1.
const COST_OF_A_FAILURE: u32 = 5;
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
/// At some 60 bytes each.
const MOST_KNOWN: usize = 100_000;

/// Stands for an e-mail address without keeping it.
type AccountKey = [u8; 32];

/// Limits on sign-in attempts, by address and by account.
///
/// Passwords guessed against one account from many addresses run into the limit of the account, which counts
/// failures only. Its owner is not locked out with the guessers: an address from which the account was signed in
/// to before has a budget of its own.
pub struct SignInLimits {
    addresses: Buckets<IpAddr>,
    accounts: Buckets<(AccountKey, Option<IpAddr>)>,
    registrations: Buckets<IpAddr>,
    /// From where accounts were signed in to.
    known: Mutex<BoundedMap<(AccountKey, IpAddr), ()>>,
}

/// An attempt that may go on. Say how it ended; one that is dropped has failed.
#[must_use]
pub struct SignInAttempt<'a> {
    limits: &'a SignInLimits,
    network: IpAddr,
    account: Option<(AccountKey, Option<IpAddr>)>,
    is_registration: bool,
    has_ended: bool,
}

impl SignInLimits {
    /// With full budgets for everybody.
    #[must_use]
    pub fn new(options: &LimitOptions) -> Self {
        Self {
            addresses: Buckets::new(options.sign_ins_per_minute, MINUTE),
            accounts: Buckets::new(options.sign_in_failures_per_hour, HOUR),
            registrations: Buckets::new(options.registrations_per_hour, HOUR),
            known: Mutex::new(BoundedMap::new(MOST_KNOWN)),
        }
    }

    /// An attempt to sign in to the account of this e-mail address, folded as it is stored.
    ///
    /// # Errors
    /// When the address or the account has had too many.
    pub fn sign_in(&self, client: ClientAddress, email: &str) -> Result<SignInAttempt<'_>, RetryAfter> {
        let network = client.network();
        self.addresses.take(&network, 1)?;
        let key = account_key(email);
        let account = (key, self.knows(key, network).then_some(network));
        self.accounts.take(&account, 1)?;
        Ok(self.attempt(network, Some(account), false))
    }

    /// An attempt that names no account that could be guessed at: to exchange a refresh token.
    ///
    /// # Errors
    /// When the address has had too many.
    pub fn other(&self, client: ClientAddress) -> Result<SignInAttempt<'_>, RetryAfter> {
        let network = client.network();
        self.addresses.take(&network, 1)?;
        Ok(self.attempt(network, None, false))
    }

    /// An attempt to make an account.
    ///
    /// # Errors
    /// When the address has had too many, or has made too many accounts.
    pub fn register(&self, client: ClientAddress) -> Result<SignInAttempt<'_>, RetryAfter> {
        let network = client.network();
        self.addresses.take(&network, 1)?;
        self.registrations.take(&network, 1)?;
        Ok(self.attempt(network, None, true))
    }

    fn attempt(
        &self,
        network: IpAddr,
        account: Option<(AccountKey, Option<IpAddr>)>,
        is_registration: bool,
    ) -> SignInAttempt<'_> {
        SignInAttempt { limits: self, network, account, is_registration, has_ended: false }
    }

    fn knows(&self, key: AccountKey, network: IpAddr) -> bool {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).get_mut(&(key, network)).is_some()
    }
}

impl SignInAttempt<'_> {
    /// Somebody proved to be the owner of this account, and is known here from now on.
    pub fn succeeded(mut self, email: &str) {
        self.has_ended = true;
        let key = account_key(email);
        let mut known = self.limits.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert((key, self.network), ());
        drop(known);
        match self.account {
            // The guesses of others stay counted.
            Some(stranger @ (_, None)) => self.limits.accounts.put_back(&stranger, 1),
            Some(known) => self.limits.accounts.fill(&known),
            None => {}
        }
    }

    /// As [`SignInAttempt::succeeded`], for what costs little and is done often: nothing was spent.
    pub fn succeeded_free(self, email: &str) {
        self.limits.addresses.put_back(&self.network, 1);
        self.succeeded(email);
    }

    /// What was sent was wrong.
    pub fn failed(self) {
        self.made_no_account();
    }

    /// It could not be told whether it was right: a fault of ours.
    pub fn undecided(mut self) {
        self.has_ended = true;
        self.made_no_account();
        self.limits.addresses.put_back(&self.network, 1);
        if let Some(account) = self.account {
            self.limits.accounts.put_back(&account, 1);
        }
    }

    fn made_no_account(&self) {
        if self.is_registration {
            self.limits.registrations.put_back(&self.network, 1);
        }
    }
}

/// Also where its client hung up and is told nothing: else guesses of which the client awaits no answer would be
/// cheap.
impl Drop for SignInAttempt<'_> {
    fn drop(&mut self) {
        if !self.has_ended {
            self.limits.addresses.take_more(&self.network, COST_OF_A_FAILURE - 1);
        }
    }
}

fn account_key(email: &str) -> AccountKey {
    Sha256::digest(email.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWNER: &str = "asha@example.com";

    fn client(last: u8) -> ClientAddress {
        ClientAddress::new(IpAddr::from([192, 0, 2, last]))
    }

    fn options(sign_ins_per_minute: u32, sign_in_failures_per_hour: u32) -> LimitOptions {
        LimitOptions {
            user_cost_per_minute: 0,
            address_cost_per_minute: 0,
            address_users_cost_per_minute: 0,
            registrations_per_hour: 0,
            sign_ins_per_minute,
            sign_in_failures_per_hour,
        }
    }

    fn limits(attempts_per_minute: u32, failures_per_hour: u32) -> SignInLimits {
        SignInLimits::new(&options(attempts_per_minute, failures_per_hour))
    }

    #[test]
    fn who_hangs_up_has_failed() {
        let limits = limits(100, 0);
        let attempts = (0..1_000).filter_map(|_| limits.sign_in(client(1), OWNER).ok()).map(drop);
        assert_eq!(attempts.count(), 20);
    }

    #[test]
    fn accounts_are_counted_by_the_hour() {
        let limits = SignInLimits::new(&LimitOptions { registrations_per_hour: 3, ..options(0, 0) });
        for _ in 0..3 {
            limits.register(client(1)).unwrap().failed();
            limits.register(client(1)).unwrap().undecided();
            limits.register(client(1)).unwrap().succeeded(OWNER);
        }
        let wait = limits.register(client(1)).err().unwrap();
        assert!((1_190..=1_200).contains(&wait.seconds()), "{wait:?}");
        limits.other(client(1)).unwrap().failed();
        limits.register(client(2)).unwrap().succeeded(OWNER);
    }

    #[test]
    fn failures_count_fivefold_by_address() {
        let limits = limits(100, 0);
        for number in 0..20 {
            limits.sign_in(client(1), &format!("{number}@example.com")).unwrap().failed();
        }
        assert!(limits.sign_in(client(1), OWNER).is_err());
        assert!(limits.other(client(1)).is_err());
        for _ in 0..100 {
            limits.sign_in(client(2), OWNER).unwrap().succeeded(OWNER);
        }
        assert!(limits.sign_in(client(2), OWNER).is_err());
        for _ in 0..1_000 {
            limits.other(client(3)).unwrap().succeeded_free(OWNER);
        }
    }

    #[test]
    fn guesses_from_many_addresses_run_into_the_limit_of_the_account() {
        let limits = limits(0, 20);
        for last in 0..20 {
            limits.sign_in(client(last), OWNER).unwrap().failed();
        }
        let wait = limits.sign_in(client(200), OWNER).err().unwrap();
        assert!((170..=180).contains(&wait.seconds()), "one more guess each three minutes: {wait:?}");
        limits.sign_in(client(200), "other@example.com").unwrap().failed();
    }

    #[test]
    fn the_owner_still_gets_in_from_where_they_were_before() {
        let limits = limits(0, 20);
        limits.sign_in(client(1), OWNER).unwrap().succeeded(OWNER);
        while let Ok(attempt) = limits.sign_in(client(2), OWNER) {
            attempt.failed();
        }
        for _ in 0..3 {
            for _ in 0..19 {
                limits.sign_in(client(1), OWNER).unwrap().failed();
            }
            limits.sign_in(client(1), OWNER).unwrap().succeeded(OWNER);
        }
        assert!(limits.sign_in(client(2), OWNER).is_err(), "which does not let the guesser guess on");
        // Exchanging a refresh token shows the same.
        limits.other(client(3)).unwrap().succeeded_free(OWNER);
        limits.sign_in(client(3), OWNER).unwrap().succeeded(OWNER);
    }

    #[test]
    fn successes_of_strangers_do_not_count() {
        let limits = limits(0, 2);
        for last in 0..100 {
            limits.sign_in(client(last), OWNER).unwrap().succeeded(OWNER);
            limits.sign_in(client(last), OWNER).unwrap().undecided();
        }
    }

    #[test]
    fn attempts_under_way_count() {
        let limits = limits(0, 3);
        let attempts: Vec<_> = (0..10).filter_map(|last| limits.sign_in(client(last), OWNER).ok()).collect();
        assert_eq!(attempts.len(), 3);
    }
}
