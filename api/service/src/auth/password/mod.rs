//! Password hashing with Argon2id. A few hashes run at a time, on threads that do not serve requests.
//!
//! A comparison with a hash of the old system takes another time than a comparison with a hash of jishu. While hashes
//! of the old system are stored, each refusal takes a multiple of one fixed time. So the time of a refusal does not
//! show the kind of the hash: see [`TimedVerdict::pad`].

mod measured;
mod stored;

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use argon2::password_hash::Error as HashError;
use argon2::{Algorithm, Argon2, Params, PasswordHash, PasswordHasher, Version};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

pub(crate) use measured::MAX_OLD_METHODS;
use measured::{MeasuredMethod, MeasuredMethods, thread_time};
use stored::{MAX_COMPARISON_TIME, Method, Stored};

/// Maximum length of a password in bytes.
pub const MAX_PASSWORD_BYTES: usize = 1_024;

/// Maximum number of callers that wait for a permit. If one hash of 20 ms runs at a time, the last caller waits about
/// 1.3 seconds.
const MAX_WAITING_CALLERS: usize = 64;

/// The minimum parameters of Argon2id that OWASP recommends: 19 MiB, two passes, one lane.
const ARGON2_PARAMS: Params = match Params::new(19_456, 2, 1, None) {
    Ok(params) => params,
    Err(_) => panic!("valid Argon2 parameters"),
};

/// An error that kept a password from being hashed or compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Too many callers are waiting for a permit.
    #[error("Too many passwords wait to be hashed or compared. Try again in a few seconds.")]
    Busy,
    /// The password is longer than [`MAX_PASSWORD_BYTES`].
    #[error("The password is longer than {MAX_PASSWORD_BYTES} bytes. Choose a shorter password.")]
    TooLong,
    /// The stored hash is of an unknown kind, damaged, or too expensive to compute.
    #[error("The stored password hash cannot be used: it is of an unknown kind, damaged, or too expensive.")]
    BadHash,
    /// The library could not compute the hash.
    #[error("The password could not be hashed ({0}).")]
    Hash(HashError),
    /// The work was interrupted: the server is stopping, or the hashing thread panicked.
    #[error("The password hashing was interrupted.")]
    Interrupted,
}

/// The result of comparing a password with a stored hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasswordVerdict {
    /// The password is right.
    Right,
    /// The password is right, and the stored hash should be replaced by a hash with the current method.
    RightAndOutdated,
    /// The password is wrong, or there is no such user.
    Wrong,
    /// The stored hash cannot be read, a comparison with it would take too long, or its method could not be measured.
    /// So nobody can sign in with it.
    Unreadable,
}

/// The result of a comparison, and the times that a caller needs to send a refusal.
#[derive(Clone, Copy, Debug)]
pub struct TimedVerdict {
    /// The result of the comparison.
    pub verdict: PasswordVerdict,
    /// The time to wait before a refusal is sent, so that the total time does not show the kind of the stored hash.
    pub pad: Duration,
    /// The time that the comparison took.
    pub work: Duration,
}

impl TimedVerdict {
    /// Returns how long the comparison keeps its permits after it has ended.
    ///
    /// A comparison that ends in a refusal keeps its permits during the pad. Otherwise the callers that wait for
    /// permits could see how long the work took.
    fn hold(&self) -> Duration {
        match self.verdict {
            PasswordVerdict::Wrong | PasswordVerdict::Unreadable => self.pad,
            PasswordVerdict::Right | PasswordVerdict::RightAndOutdated => Duration::ZERO,
        }
    }
}

/// Hashes passwords and compares them with stored hashes.
#[derive(Clone, Debug)]
pub struct Passwords {
    /// One permit for each caller that hashes or waits to hash.
    admitted: Arc<Semaphore>,
    /// One permit for each running hash of the current method. A hash that needs more memory takes more permits.
    working: Arc<Semaphore>,
    parallelism: u32,
    /// The hash that is compared if there is no such user, so that an unknown e-mail address takes as long as a known
    /// one.
    dummy_hash: &'static str,
    measured: Arc<Mutex<MeasuredMethods>>,
    /// One permit for each caller that waits in [`Passwords::pad_refused`].
    refused: Arc<Semaphore>,
}

impl Passwords {
    /// Allows `parallelism` hashes at once, each with 19 MiB. The first call in a process computes one hash, which
    /// takes about 20 ms.
    pub fn new(parallelism: NonZeroUsize) -> Result<Self, PasswordError> {
        let dummy = DummyHash::get()?;
        let current = MeasuredMethod { method: Method::CURRENT, takes: dummy.takes, permits: 1 };
        let measured = MeasuredMethods { methods: vec![current] };
        Ok(Self {
            admitted: Arc::new(Semaphore::new(parallelism.get().saturating_add(MAX_WAITING_CALLERS))),
            working: Arc::new(Semaphore::new(parallelism.get())),
            parallelism: u32::try_from(parallelism.get()).unwrap_or(u32::MAX),
            dummy_hash: &dummy.hash,
            measured: Arc::new(Mutex::new(measured)),
            refused: Arc::new(Semaphore::new(MAX_WAITING_CALLERS)),
        })
    }

    /// Sets the methods of Werkzeug that stored hashes have, such as `scrypt:32768:8:1`. Forgets the other methods of
    /// Werkzeug, and ignores unknown names.
    ///
    /// Measures the new methods, and measures again the methods that were too slow.
    pub async fn expect_methods(&self, methods: Vec<String>) -> Result<(), PasswordError> {
        let passwords = self.clone();
        let measure = move || {
            let methods: Vec<_> = methods.iter().filter_map(|name| Method::of_werkzeug(name)).collect();
            passwords.measured().methods.retain(|measured| match measured.method {
                // `methods` lists only methods of Werkzeug. Methods of Argon2id stay: the first comparison with a hash
                // of such a method adds the method.
                Method::Argon2id { .. } => true,
                method => measured.is_fast_enough() && methods.contains(&method),
            });
            for method in methods {
                passwords.measure_if_new(method);
            }
        };
        spawn_blocking(measure).await.map_err(|_panicked_or_stopping| PasswordError::Interrupted)
    }

    /// Measures a method if it is new. If it is fast enough, refusals take a multiple of the time of the slowest
    /// method from then on. Returns false if a comparison takes too long, or if too many methods were measured.
    fn measure_if_new(&self, method: Method) -> bool {
        if let Some(is_usable) = self.measured().is_usable(method) {
            return is_usable;
        }
        let measured = MeasuredMethod { method, takes: method.measure(), permits: self.permits(method) };
        let mut all = self.measured();
        if let Some(is_usable) = all.is_usable(method) {
            return is_usable;
        }
        all.methods.push(measured);
        drop(all);
        if !measured.is_fast_enough() {
            let message = "users with password hashes of this method cannot sign in, because one comparison takes too \
                           long on this machine. Store cheaper hashes for them, or use a faster machine";
            tracing::warn!(?method, takes = ?measured.takes, max = ?MAX_COMPARISON_TIME, "{message}");
        }
        measured.is_fast_enough()
    }

    fn measured(&self) -> MutexGuard<'_, MeasuredMethods> {
        self.measured.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hashes a password with a new salt into a PHC string (`$argon2id$…`, about 97 characters).
    pub async fn hash(&self, password: String) -> Result<String, PasswordError> {
        self.run(password, 1, |password| Ok((hash_now(password)?, Duration::ZERO))).await
    }

    /// Compares a password with a stored hash. If `hash` is None, because there is no such user, the password is
    /// wrong, and the comparison does the same work.
    ///
    /// The caller must wait for [`TimedVerdict::pad`] before it sends a refusal. While hashes of the old system are
    /// stored, a refusal also keeps its permits for that time. So simultaneous guesses reveal no more than guesses
    /// one after the other. This costs throughput: within the time of the slowest method, the server refuses only as
    /// many passwords as it has permits, and right passwords wait in the same queue. The budgets for sign-ins limit
    /// how much of the queue one address takes. If the queue is full, the call fails with [`PasswordError::Busy`].
    pub async fn verify(
        &self,
        password: String,
        hash: Option<String>,
    ) -> Result<TimedVerdict, PasswordError> {
        let passwords = self.clone();
        let stored = hash.as_deref().map(Stored::read);
        let permits = match &stored {
            Some(Ok(stored)) => self.permits(stored.method()),
            _ => 1,
        };
        let permits = permits.max(self.measured().permits());
        let compare = move |password: &str| {
            let verified = passwords.verify_now(password, stored.as_ref())?;
            Ok((verified, verified.hold()))
        };
        self.run(password, permits, compare).await
    }

    /// Returns the number of permits that a comparison takes, in proportion to the memory of its method: at least 1,
    /// and at most all permits.
    fn permits(&self, method: Method) -> u32 {
        method.memory_kib().div_ceil(ARGON2_PARAMS.m_cost()).clamp(1, self.parallelism)
    }

    /// Compares a password on the current thread. If there is no hash, or it is not usable, compares with the dummy
    /// hash.
    fn verify_now(
        &self,
        password: &str,
        stored: Option<&Result<Stored, PasswordError>>,
    ) -> Result<TimedVerdict, PasswordError> {
        let usable = match stored {
            Some(Ok(stored)) if self.measure_if_new(stored.method()) => Some(stored),
            _ => None,
        };
        let started = Instant::now();
        // Some unreadable hashes are found only here: the library refuses their version or length when it compares.
        let compared = usable.and_then(|usable| Some((usable.matches(password).ok()?, usable.method())));
        let verdict = match compared {
            Some((true, Method::CURRENT)) => PasswordVerdict::Right,
            Some((true, _)) => PasswordVerdict::RightAndOutdated,
            Some((false, _)) => PasswordVerdict::Wrong,
            None => {
                Stored::read(self.dummy_hash)?.matches(password)?;
                if stored.is_some() { PasswordVerdict::Unreadable } else { PasswordVerdict::Wrong }
            }
        };
        let work = started.elapsed();
        Ok(TimedVerdict { verdict, pad: pad(self.measured().floor(), work), work })
    }

    /// Waits as long as a comparison takes, before the caller refuses an attempt whose budget is spent. A comparison
    /// may have taken `work` of that time already. Returns at once if too many callers wait.
    pub async fn pad_refused(&self, work: Duration) {
        let pad = pad(self.measured().slowest(), work);
        if let Ok(_permit) = self.refused.try_acquire() {
            tokio::time::sleep(pad).await;
        }
    }

    /// Waits for permits and does the work on another thread. Keeps the permits for the time that the work returns.
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
            // The work continues after its caller has hung up. So the permits belong to the work, and not to the
            // caller.
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

/// A hash with the current method, and the processor time that it took.
struct DummyHash {
    hash: String,
    takes: Duration,
}

impl DummyHash {
    /// Returns the hash of this process, and computes it at the first call. The servers of one process share it.
    fn get() -> Result<&'static Self, PasswordError> {
        static HASH: OnceLock<DummyHash> = OnceLock::new();
        if let Some(known) = HASH.get() {
            return Ok(known);
        }
        let started = thread_time();
        let hash = hash_now("nobody's password")?;
        let takes = thread_time().saturating_sub(started);
        Ok(HASH.get_or_init(|| Self { hash, takes }))
    }
}

/// Returns the time from the end of the work to the next multiple of the floor. Zero if the floor is zero.
fn pad(floor: Duration, work: Duration) -> Duration {
    if floor.is_zero() {
        return Duration::ZERO;
    }
    let rest = work.as_nanos() % floor.as_nanos();
    floor.saturating_sub(Duration::from_nanos(u64::try_from(rest).unwrap_or(u64::MAX)))
}

fn argon2id() -> Argon2<'static> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, ARGON2_PARAMS)
}

fn hash_now(password: &str) -> Result<String, PasswordError> {
    let hash: PasswordHash = argon2id().hash_password(password.as_bytes()).map_err(PasswordError::Hash)?;
    Ok(hash.to_string())
}

/// Returns whether a stored hash is of a known kind, not damaged, and not too expensive to compare.
pub(crate) fn is_usable_hash(hash: &str) -> bool {
    Stored::read(hash).is_ok()
}

/// Makes a hash whose password nobody knows, for accounts that have no password. A refusal of a sign-in to such an
/// account takes as long as other refusals.
pub(crate) fn unusable_hash() -> Result<String, PasswordError> {
    let secret: [u8; 32] = rand::random();
    hash_now(&URL_SAFE_NO_PAD.encode(secret))
}

#[cfg(test)]
mod tests;
