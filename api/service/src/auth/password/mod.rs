//! Password hashing: Argon2id, away from the threads that serve requests, a few at a time.
//!
//! Hashes of the old system take other times than ours. While there are any, every refusal is sent after the same
//! time: see [`Verified::pad`].

mod stored;

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use argon2::password_hash::Error as HashError;
use argon2::{Algorithm, Argon2, Params, PasswordHash, PasswordHasher, Version};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use stored::{MAX_COMPARISON, Method, Stored};

/// Longest password that is hashed.
pub const MAX_PASSWORD_BYTES: usize = 1_024;

/// Number of callers who may wait for a permit. At 20 ms a hash the last of them waits about a second.
const MAX_WAITING: usize = 64;

/// Parameters of Argon2id, OWASP's first choice: 19 MiB, two passes, one lane.
const PARAMS: Params = match Params::new(19_456, 2, 1, None) {
    Ok(params) => params,
    Err(_) => panic!("valid Argon2 parameters"),
};

/// Factor for a machine that is busier than when a method was measured.
const MARGIN: f64 = 1.5;

/// Maximum number of methods of stored hashes whose cost is measured.
const MAX_METHODS: usize = 32;

/// An error that kept a password from being hashed or compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Too many callers are waiting.
    #[error("Too many sign-ins are waiting. Try again in a few seconds.")]
    Busy,
    /// Longer than [`MAX_PASSWORD_BYTES`].
    #[error("The password is longer than {MAX_PASSWORD_BYTES} bytes. Choose a shorter one.")]
    TooLong,
    /// The stored hash is of an unknown kind, damaged, or too expensive to compute.
    #[error("The stored password hash cannot be used: it is of an unknown kind, damaged, or too expensive.")]
    BadHash,
    /// Hashing itself failed.
    #[error("The password could not be hashed ({0}).")]
    Hash(HashError),
    /// The work was interrupted: the server is stopping, or the hashing thread panicked.
    #[error("The password hashing was interrupted.")]
    Interrupted,
}

/// The result of comparing a password with a stored hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The password is right.
    Right,
    /// The password is right, and the hash should be replaced by one of ours.
    RightAndOutdated,
    /// The password is wrong, or there is no such user.
    Wrong,
    /// The stored hash cannot be read, so nobody can sign in with it.
    Unreadable,
}

/// A verdict, and the time to wait before a refusal is sent.
#[derive(Clone, Copy, Debug)]
pub struct Verified {
    /// The result of the comparison.
    pub verdict: Verdict,
    /// How long to wait before a refusal is sent, so that its time does not show the kind of the stored hash.
    pub pad: Duration,
    /// How long the work itself took.
    pub work: Duration,
}

impl Verified {
    /// How long the permits of the comparison stay taken after it.
    ///
    /// Those who wait for permits must not see how much work was done with them, so a refusal keeps them for its pad.
    fn hold(&self) -> Duration {
        match self.verdict {
            Verdict::Wrong | Verdict::Unreadable => self.pad,
            Verdict::Right | Verdict::RightAndOutdated => Duration::ZERO,
        }
    }
}

/// Hashes passwords and compares them with stored hashes.
#[derive(Clone, Debug)]
pub struct Passwords {
    /// One permit for each caller who works or waits.
    admitted: Arc<Semaphore>,
    /// One permit for each running hash of ours. A hash that takes more memory takes more permits.
    working: Arc<Semaphore>,
    parallelism: u32,
    /// The hash that is compared when there is no user, so that an unknown e-mail address costs the same time.
    nobody: Arc<str>,
    uniform: Arc<Mutex<Uniform>>,
    /// One permit for each caller who waits to be refused without a comparison.
    refused: Arc<Semaphore>,
}

/// The methods of stored hashes, and so what every comparison takes, so that they cannot be told apart.
#[derive(Debug)]
struct Uniform {
    known: Vec<Known>,
}

/// A method of stored hashes that was measured.
#[derive(Clone, Copy, Debug)]
struct Known {
    method: Method,
    /// How long one comparison takes.
    takes: Duration,
    permits: u32,
}

impl Known {
    fn is_bearable(&self) -> bool {
        self.takes <= MAX_COMPARISON
    }
}

impl Uniform {
    fn of(&self, method: Method) -> Option<Known> {
        self.known.iter().find(|known| known.method == method).copied()
    }

    fn bearable(&self) -> impl Iterator<Item = &Known> {
        self.known.iter().filter(|known| known.is_bearable())
    }

    /// Returns the time of the slowest method, with a margin.
    fn slowest(&self) -> Duration {
        let slowest = self.bearable().map(|known| known.takes).max().unwrap_or_default();
        slowest.mul_f64(MARGIN).min(MAX_COMPARISON)
    }

    /// Every refusal takes this time, or a multiple of it. Zero while all hashes are of our own method.
    fn floor(&self) -> Duration {
        let has_others = self.bearable().any(|known| known.method != Method::OURS);
        if has_others { self.slowest() } else { Duration::ZERO }
    }

    fn permits(&self) -> u32 {
        self.bearable().map(|known| known.permits).max().unwrap_or(1)
    }
}

impl Passwords {
    /// Runs at most `parallelism` hashes at once, each in 19 MiB. Takes one hash's time (20 ms).
    pub fn new(parallelism: NonZeroUsize) -> Result<Self, PasswordError> {
        let ours = Known { method: Method::OURS, takes: Method::OURS.measure(), permits: 1 };
        let uniform = Uniform { known: vec![ours] };
        Ok(Self {
            admitted: Arc::new(Semaphore::new(parallelism.get().saturating_add(MAX_WAITING))),
            working: Arc::new(Semaphore::new(parallelism.get())),
            parallelism: u32::try_from(parallelism.get()).unwrap_or(u32::MAX),
            nobody: hash_now("nobody's password")?.into(),
            uniform: Arc::new(Mutex::new(uniform)),
            refused: Arc::new(Semaphore::new(MAX_WAITING)),
        })
    }

    /// Expects stored hashes of these methods of Werkzeug, such as `scrypt:32768:8:1`, and no longer of others. Names
    /// that are not known are left out. Measures what is new, and again what was too slow.
    pub async fn expect(&self, methods: Vec<String>) -> Result<(), PasswordError> {
        let passwords = self.clone();
        let measure = move || {
            let methods: Vec<_> = methods.iter().filter_map(|name| Method::of_werkzeug(name)).collect();
            passwords.uniform().known.retain(|known| match known.method {
                // Learned from a hash that was compared: `methods` are Werkzeug's.
                Method::Argon2id { .. } => true,
                method => known.is_bearable() && methods.contains(&method),
            });
            for method in methods {
                passwords.learn(method);
            }
        };
        spawn_blocking(measure).await.map_err(|_panicked_or_stopping| PasswordError::Interrupted)
    }

    /// Measures a method that was not known, and pads all refusals to its time from now on. False where it takes too
    /// long to be used.
    fn learn(&self, method: Method) -> bool {
        let known = |uniform: &Uniform| match uniform.of(method) {
            Some(known) => Some(known.is_bearable()),
            None => (uniform.known.len() > MAX_METHODS).then_some(true),
        };
        if let Some(is_bearable) = known(&self.uniform()) {
            return is_bearable;
        }
        let measured = Known { method, takes: method.measure(), permits: self.permits(method) };
        let mut uniform = self.uniform();
        if let Some(is_bearable) = known(&uniform) {
            return is_bearable;
        }
        uniform.known.push(measured);
        drop(uniform);
        if !measured.is_bearable() {
            let message = "users with stored password hashes of this method cannot sign in: one comparison takes too \
                           long here. Give them hashes that cost less, or run the server on a faster machine";
            tracing::warn!(?method, takes = ?measured.takes, most = ?MAX_COMPARISON, "{message}");
        }
        measured.is_bearable()
    }

    fn uniform(&self) -> MutexGuard<'_, Uniform> {
        self.uniform.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hashes a password into a PHC string (`$argon2id$…`, about 97 characters) with a salt of its own.
    pub async fn hash(&self, password: String) -> Result<String, PasswordError> {
        self.run(password, 1, |password| Ok((hash_now(password)?, Duration::ZERO))).await
    }

    /// Compares `password` with a stored hash. Without a hash (no such user) the password is wrong, after the same
    /// work.
    ///
    /// A refusal, for whatever reason, is told after [`Verified::pad`]. While there are old hashes, a wrong password
    /// keeps its permits for that time, too, so that guesses at once tell no more than one after another. It costs
    /// throughput: a server then refuses no more passwords than it has permits for, in the time of the slowest method,
    /// and right passwords wait in the same queue. The budgets for sign-ins bound how much of it one address takes;
    /// beyond the queue there is [`PasswordError::Busy`].
    pub async fn verify(&self, password: String, hash: Option<String>) -> Result<Verified, PasswordError> {
        let passwords = self.clone();
        let stored = hash.as_deref().map(Stored::read);
        let permits = match &stored {
            Some(Ok(stored)) => self.permits(stored.method()),
            _ => 1,
        };
        let permits = permits.max(self.uniform().permits());
        let compare = move |password: &str| {
            let verified = passwords.verify_now(password, stored.as_ref())?;
            Ok((verified, verified.hold()))
        };
        self.run(password, permits, compare).await
    }

    /// Returns the number of permits that a comparison takes, by its memory.
    fn permits(&self, method: Method) -> u32 {
        method.memory_kib().div_ceil(PARAMS.m_cost()).clamp(1, self.parallelism)
    }

    fn verify_now(
        &self,
        password: &str,
        stored: Option<&Result<Stored, PasswordError>>,
    ) -> Result<Verified, PasswordError> {
        let usable = match stored {
            Some(Ok(stored)) if self.learn(stored.method()) => Some(stored),
            _ => None,
        };
        let started = Instant::now();
        // One whose version or length the library does not take shows only when it is compared.
        let shown = usable.and_then(|usable| Some((usable.matches(password).ok()?, usable.method())));
        let verdict = match shown {
            Some((true, Method::OURS)) => Verdict::Right,
            Some((true, _)) => Verdict::RightAndOutdated,
            Some((false, _)) => Verdict::Wrong,
            None => {
                Stored::read(&self.nobody)?.matches(password)?;
                if stored.is_some() { Verdict::Unreadable } else { Verdict::Wrong }
            }
        };
        let work = started.elapsed();
        Ok(Verified { verdict, pad: pad(self.uniform().floor(), work), work })
    }

    /// Waits before a refusal for lack of a budget is sent. A comparison may have taken `work` of that time. If
    /// too many callers wait, the refusal is sent at once.
    pub async fn pad_refused(&self, work: Duration) {
        let pad = pad(self.uniform().slowest(), work);
        if let Ok(_permit) = self.refused.try_acquire() {
            tokio::time::sleep(pad).await;
        }
    }

    /// Does the work when there are permits for it, and keeps them after it for the time that it says.
    async fn run<T: Send + 'static>(
        &self,
        password: String,
        permits: u32,
        work: impl FnOnce(&str) -> Result<(T, Duration), PasswordError> + Send + 'static,
    ) -> Result<T, PasswordError> {
        if password.len() > MAX_PASSWORD_BYTES {
            return Err(PasswordError::TooLong);
        }
        let admitted =
            Arc::clone(&self.admitted).try_acquire_owned().map_err(|_none_left| PasswordError::Busy)?;
        let working = Arc::clone(&self.working)
            .acquire_many_owned(permits)
            .await
            .map_err(|_closed| PasswordError::Interrupted)?;
        spawn_blocking(move || {
            // The work goes on when the caller hangs up, so the permits belong to the work, not to the caller.
            let permits = (admitted, working);
            let (done, hold) = work(&password)?;
            if !hold.is_zero() {
                tokio::spawn(async move {
                    tokio::time::sleep(hold).await;
                    drop(permits);
                });
            }
            Ok(done)
        })
        .await
        .map_err(|_panicked_or_stopping| PasswordError::Interrupted)?
    }
}

/// Returns the time from the end of the work to the next multiple of the floor.
fn pad(floor: Duration, work: Duration) -> Duration {
    if floor.is_zero() {
        return Duration::ZERO;
    }
    let rest = work.as_nanos() % floor.as_nanos();
    floor.saturating_sub(Duration::from_nanos(u64::try_from(rest).unwrap_or(u64::MAX)))
}

fn argon2id() -> Argon2<'static> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, PARAMS)
}

fn hash_now(password: &str) -> Result<String, PasswordError> {
    let hash: PasswordHash = argon2id().hash_password(password.as_bytes()).map_err(PasswordError::Hash)?;
    Ok(hash.to_string())
}

#[cfg(test)]
mod tests;
