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

use stored::{Method, Stored};

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

/// The time that every refusal takes, so that comparisons cannot be told apart.
#[derive(Debug)]
struct Uniform {
    methods: Vec<Method>,
    permits: u32,
    /// The time of the slowest method, with a margin.
    slowest: Duration,
}

impl Uniform {
    /// Returns the base time: every refusal takes a multiple of it. Zero while all hashes are of our own method.
    fn floor(&self) -> Duration {
        if self.methods.len() > 1 { self.slowest } else { Duration::ZERO }
    }
}

impl Passwords {
    /// Runs at most `parallelism` hashes at once, each in 19 MiB. Takes one hash's time (20 ms).
    pub fn new(parallelism: NonZeroUsize) -> Result<Self, PasswordError> {
        let slowest = Method::OURS.measure().mul_f64(MARGIN);
        let uniform = Uniform { methods: vec![Method::OURS], permits: 1, slowest };
        Ok(Self {
            admitted: Arc::new(Semaphore::new(parallelism.get().saturating_add(MAX_WAITING))),
            working: Arc::new(Semaphore::new(parallelism.get())),
            parallelism: u32::try_from(parallelism.get()).unwrap_or(u32::MAX),
            nobody: hash_now("nobody's password")?.into(),
            uniform: Arc::new(Mutex::new(uniform)),
            refused: Arc::new(Semaphore::new(MAX_WAITING)),
        })
    }

    /// Expects stored hashes of these methods of Werkzeug, such as `scrypt:32768:8:1`. Unknown names are ignored.
    pub async fn expect(&self, methods: Vec<String>) -> Result<(), PasswordError> {
        let passwords = self.clone();
        let measure = move || {
            for method in methods.iter().filter_map(|name| Method::of_werkzeug(name)) {
                passwords.learn(method);
            }
        };
        spawn_blocking(measure).await.map_err(|_panicked_or_stopping| PasswordError::Interrupted)
    }

    /// Measures a new method, and pads all refusals to its time from now on.
    fn learn(&self, method: Method) {
        let is_known =
            |uniform: &Uniform| uniform.methods.contains(&method) || uniform.methods.len() >= MAX_METHODS;
        if is_known(&self.uniform()) {
            return;
        }
        let measured = method.measure().mul_f64(MARGIN);
        let mut uniform = self.uniform();
        if is_known(&uniform) {
            return;
        }
        uniform.methods.push(method);
        uniform.slowest = uniform.slowest.max(measured);
        uniform.permits = uniform.permits.max(self.permits(method));
    }

    fn uniform(&self) -> MutexGuard<'_, Uniform> {
        self.uniform.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hashes a password into a PHC string (`$argon2id$…`, about 97 characters) with a salt of its own.
    pub async fn hash(&self, password: String) -> Result<String, PasswordError> {
        self.run(password, 1, hash_now).await
    }

    /// Compares `password` with a stored hash. Without a hash (no such user) the password is wrong, after the same
    /// work.
    ///
    /// The caller sends a refusal after [`Verified::pad`].
    pub async fn verify(&self, password: String, hash: Option<String>) -> Result<Verified, PasswordError> {
        let passwords = self.clone();
        let stored = hash.as_deref().map(Stored::read);
        let permits = match &stored {
            Some(Ok(stored)) => self.permits(stored.method()),
            _ => 1,
        };
        let permits = permits.max(self.uniform().permits);
        self.run(password, permits, move |password| passwords.verify_now(password, stored.as_ref())).await
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
        if let Some(Ok(stored)) = stored {
            self.learn(stored.method());
        }
        let started = Instant::now();
        let verdict = match stored {
            Some(Ok(stored)) => match (stored.matches(password)?, stored.method() == Method::OURS) {
                (true, true) => Verdict::Right,
                (true, false) => Verdict::RightAndOutdated,
                (false, _) => Verdict::Wrong,
            },
            nothing => {
                Stored::read(&self.nobody)?.matches(password)?;
                if nothing.is_some() { Verdict::Unreadable } else { Verdict::Wrong }
            }
        };
        let work = started.elapsed();
        Ok(Verified { verdict, pad: pad(self.uniform().floor(), work), work })
    }

    /// Waits before a refusal for lack of a budget is sent. A comparison may have taken `work` of that time. If
    /// too many callers wait, the refusal is sent at once.
    pub async fn pad_refused(&self, work: Duration) {
        let pad = pad(self.uniform().slowest, work);
        if let Ok(_permit) = self.refused.try_acquire() {
            tokio::time::sleep(pad).await;
        }
    }

    async fn run<T: Send + 'static>(
        &self,
        password: String,
        permits: u32,
        work: impl FnOnce(&str) -> Result<T, PasswordError> + Send + 'static,
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
            // The work continues when the caller hangs up, so the permits must end with the work.
            let _permits = (admitted, working);
            work(&password)
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
