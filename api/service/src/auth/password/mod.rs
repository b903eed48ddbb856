//! Password hashing with Argon2id. A few hashes run at a time, on threads that do not serve requests.
//!
//! The hashes of the old system take another time to compare than those of jishu. While any are stored, every refusal
//! is sent after the same time, so that its time does not show the kind of the hash: see [`TimedVerdict::pad`].

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

use stored::{MAX_COMPARISON_TIME, Method, Stored};

/// Maximum length of a password in bytes.
pub const MAX_PASSWORD_BYTES: usize = 1_024;

/// Maximum number of callers that wait for a permit. At 20 ms a hash, the last of them waits about a second.
const MAX_WAITING_CALLERS: usize = 64;

/// The parameters of Argon2id that OWASP recommends first: 19 MiB, two passes, one lane.
const ARGON2_PARAMS: Params = match Params::new(19_456, 2, 1, None) {
    Ok(params) => params,
    Err(_) => panic!("valid Argon2 parameters"),
};

/// Factor by which the measured time of the slowest method is raised, for times when the machine is busier.
const TIME_MARGIN_FACTOR: f64 = 1.5;

/// Maximum number of methods of stored hashes whose cost is measured.
const MAX_METHODS: usize = 32;

/// An error that kept a password from being hashed or compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Too many callers are waiting.
    #[error("Too many sign-ins are waiting. Try again in a few seconds.")]
    Busy,
    /// The password is longer than [`MAX_PASSWORD_BYTES`].
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
pub enum PasswordVerdict {
    /// The password is right.
    Right,
    /// The password is right, and the hash should be replaced by one with the current method.
    RightAndOutdated,
    /// The password is wrong, or there is no such user.
    Wrong,
    /// The stored hash cannot be read, so nobody can sign in with it.
    Unreadable,
}

/// A verdict, and the time to wait before a refusal is sent.
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
    /// A refusal keeps them during its pad. Otherwise the callers that wait for permits could see how long the work took.
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
    /// One permit for each caller that hashes or waits.
    admitted: Arc<Semaphore>,
    /// One permit for each running hash of the current method. A hash that needs more memory takes more permits.
    working: Arc<Semaphore>,
    parallelism: u32,
    /// The hash that is compared if there is no such user, so that an unknown e-mail address takes the same time.
    dummy_hash: &'static str,
    measured: Arc<Mutex<MeasuredMethods>>,
    /// One permit for each caller that waits for a refusal without a comparison.
    refused: Arc<Semaphore>,
}

/// The measured methods of stored hashes. They determine the time and the permits of every comparison.
#[derive(Debug)]
struct MeasuredMethods {
    methods: Vec<MeasuredMethod>,
}

/// A method of stored hashes, with its measured time.
#[derive(Clone, Copy, Debug)]
struct MeasuredMethod {
    method: Method,
    /// The time of one comparison.
    takes: Duration,
    permits: u32,
}

impl MeasuredMethod {
    /// Returns whether a comparison is fast enough to be used.
    fn is_fast_enough(&self) -> bool {
        self.takes <= MAX_COMPARISON_TIME
    }
}

impl MeasuredMethods {
    fn find(&self, method: Method) -> Option<MeasuredMethod> {
        self.methods.iter().find(|measured| measured.method == method).copied()
    }

    /// Returns the methods that are used.
    fn usable(&self) -> impl Iterator<Item = &MeasuredMethod> {
        self.methods.iter().filter(|measured| measured.is_fast_enough())
    }

    /// Returns the time of the slowest method, with a margin.
    fn slowest(&self) -> Duration {
        let slowest = self.usable().map(|measured| measured.takes).max().unwrap_or_default();
        slowest.mul_f64(TIME_MARGIN_FACTOR).min(MAX_COMPARISON_TIME)
    }

    /// Returns the unit of the time of refusals: every refusal takes a multiple of it. Zero while all hashes have the
    /// current method.
    fn floor(&self) -> Duration {
        let has_others = self.usable().any(|measured| measured.method != Method::CURRENT);
        if has_others { self.slowest() } else { Duration::ZERO }
    }

    /// Returns the number of permits that every comparison takes.
    fn permits(&self) -> u32 {
        self.usable().map(|measured| measured.permits).max().unwrap_or(1)
    }
}

impl Passwords {
    /// Allows `parallelism` hashes at once, each with 19 MiB. The first call in a process computes one hash, which takes
    /// about 20 ms.
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
    /// Measures the methods that are new, and measures those again that were too slow.
    pub async fn expect_methods(&self, methods: Vec<String>) -> Result<(), PasswordError> {
        let passwords = self.clone();
        let measure = move || {
            let methods: Vec<_> = methods.iter().filter_map(|name| Method::of_werkzeug(name)).collect();
            passwords.measured().methods.retain(|measured| match measured.method {
                // `methods` lists only methods of Werkzeug. A comparison adds the methods of Argon2id.
                Method::Argon2id { .. } => true,
                method => measured.is_fast_enough() && methods.contains(&method),
            });
            for method in methods {
                passwords.measure_if_new(method);
            }
        };
        spawn_blocking(measure).await.map_err(|_panicked_or_stopping| PasswordError::Interrupted)
    }

    /// Measures a method that is new. From then on all refusals are padded to its time. Returns false if a comparison
    /// takes too long.
    fn measure_if_new(&self, method: Method) -> bool {
        let is_known_usable = |all: &MeasuredMethods| match all.find(method) {
            Some(measured) => Some(measured.is_fast_enough()),
            None => (all.methods.len() > MAX_METHODS).then_some(true),
        };
        if let Some(is_usable) = is_known_usable(&self.measured()) {
            return is_usable;
        }
        let measured = MeasuredMethod { method, takes: method.measure(), permits: self.permits(method) };
        let mut all = self.measured();
        if let Some(is_usable) = is_known_usable(&all) {
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

    /// Compares a password with a stored hash. Without a hash (there is no such user) the password is wrong, and the
    /// comparison does the same work.
    ///
    /// The caller must wait for [`TimedVerdict::pad`] before it sends a refusal. While hashes of the old system are
    /// stored, a refusal also keeps its permits for that time, so that simultaneous guesses reveal no more than single
    /// ones. This costs throughput: within the time of the slowest method, the server refuses only as many passwords as
    /// it has permits, and right passwords wait in the same queue. The budgets for sign-ins limit how much of the queue
    /// one address takes. If the queue is full, the call fails with [`PasswordError::Busy`].
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

    /// Returns the number of permits that a comparison takes, by its memory.
    fn permits(&self, method: Method) -> u32 {
        method.memory_kib().div_ceil(ARGON2_PARAMS.m_cost()).clamp(1, self.parallelism)
    }

    /// Compares a password on the current thread.
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
        // Some unreadable hashes are found only now: the library refuses their version or length when it compares.
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

    /// Waits before a refusal because of a spent budget is sent, as long as a comparison takes. A comparison may already
    /// have taken `work` of that time. Returns at once if too many callers wait.
    pub async fn pad_refused(&self, work: Duration) {
        let pad = pad(self.measured().slowest(), work);
        if let Ok(_permit) = self.refused.try_acquire() {
            tokio::time::sleep(pad).await;
        }
    }

    /// Waits for permits and does the work. Keeps the permits afterwards for the time that the work returns.
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
            // The work continues after its caller has hung up. So the permits belong to the work, and not to the caller.
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

/// A hash with the current method, and the time that it took.
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
        let started = Instant::now();
        let hash = hash_now("nobody's password")?;
        let mut takes = started.elapsed();
        if takes > MAX_COMPARISON_TIME {
            // The machine may have been busy for a moment.
            takes = takes.min(Method::CURRENT.measure());
        }
        Ok(HASH.get_or_init(|| Self { hash, takes }))
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
    Argon2::new(Algorithm::Argon2id, Version::V0x13, ARGON2_PARAMS)
}

fn hash_now(password: &str) -> Result<String, PasswordError> {
    let hash: PasswordHash = argon2id().hash_password(password.as_bytes()).map_err(PasswordError::Hash)?;
    Ok(hash.to_string())
}

/// Returns whether a stored hash is of a known kind, and not too expensive to compare.
pub(crate) fn is_usable_hash(hash: &str) -> bool {
    Stored::read(hash).is_ok()
}

/// Makes a hash whose password nobody knows, for accounts that have no password. A sign-in takes as long as with any
/// other hash.
pub(crate) fn unusable_hash() -> Result<String, PasswordError> {
    let secret: [u8; 32] = rand::random();
    hash_now(&URL_SAFE_NO_PAD.encode(secret))
}

#[cfg(test)]
mod tests;
