//! Password hashing: Argon2id, away from the threads that serve requests, a few at a time.

use std::num::NonZeroUsize;
use std::sync::Arc;

use argon2::password_hash::Error as HashError;
use argon2::{
    ARGON2ID_IDENT, Algorithm, Argon2, Params, PasswordHash, PasswordHasher, PasswordVerifier, Version,
};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

/// The longest password that is hashed.
pub const MAX_PASSWORD_BYTES: usize = 1_024;

/// How many callers may wait for a turn. At 20 ms a hash the last of them waits a second or so.
const MAX_WAITING: usize = 64;

/// OWASP's first choice for Argon2id: 19 MiB, two passes, one lane.
const PARAMS: Params = match Params::new(19_456, 2, 1, None) {
    Ok(params) => params,
    Err(_) => panic!("valid Argon2 parameters"),
};

/// Beyond these a stored hash is taken for an attack or a mistake: one sign-in would stall the server.
const MAX_MEMORY_KIB: u32 = 256 * 1_024;
const MAX_PASSES: u32 = 16;
const MAX_LANES: u32 = 16;

/// Why a password was neither hashed nor compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Too many callers are waiting.
    #[error("Too many sign-ins are waiting for their turn. Try again in a few seconds.")]
    Busy,
    /// Longer than [`MAX_PASSWORD_BYTES`].
    #[error("The password is longer than {MAX_PASSWORD_BYTES} bytes. Choose a shorter one.")]
    TooLong,
    /// The stored hash is no Argon2id string, or one that would cost far too much.
    #[error("The stored password hash cannot be used: it is not Argon2id, is damaged, or costs too much.")]
    BadHash,
    /// Hashing itself failed.
    #[error("The password could not be hashed ({0}).")]
    Hash(HashError),
    /// The work was abandoned: the server is stopping, or the hashing thread panicked.
    #[error("The password hashing was interrupted.")]
    Interrupted,
}

/// Hashes passwords and compares them with stored hashes.
#[derive(Clone, Debug)]
pub struct Passwords {
    /// One permit for each caller who works or waits.
    admitted: Arc<Semaphore>,
    /// One permit for each hash at work.
    working: Arc<Semaphore>,
    /// Compared with when there is no user, so that an unknown e-mail address costs the same time.
    nobody: Arc<str>,
}

impl Passwords {
    /// At most `parallelism` hashes run at once, each in 19 MiB. Takes one hash's time (20 ms).
    pub fn new(parallelism: NonZeroUsize) -> Result<Self, PasswordError> {
        Ok(Self {
            admitted: Arc::new(Semaphore::new(parallelism.get().saturating_add(MAX_WAITING))),
            working: Arc::new(Semaphore::new(parallelism.get())),
            nobody: hash_now("nobody's password")?.into(),
        })
    }

    /// Hashes a password into a PHC string (`$argon2id$…`, about 97 characters) with a salt of its own.
    pub async fn hash(&self, password: String) -> Result<String, PasswordError> {
        self.run(password, hash_now).await
    }

    /// Whether `password` is the one that was hashed into `hash`, a PHC string.
    ///
    /// Without a hash (there is no such user) the answer is `false`, after the same work.
    pub async fn verify(&self, password: String, hash: Option<String>) -> Result<bool, PasswordError> {
        let nobody = Arc::clone(&self.nobody);
        self.run(password, move |password| {
            let matches = verify_now(password, hash.as_deref().unwrap_or(&nobody))?;
            Ok(matches && hash.is_some())
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        password: String,
        work: impl FnOnce(&str) -> Result<T, PasswordError> + Send + 'static,
    ) -> Result<T, PasswordError> {
        if password.len() > MAX_PASSWORD_BYTES {
            return Err(PasswordError::TooLong);
        }
        let admitted =
            Arc::clone(&self.admitted).try_acquire_owned().map_err(|_none_left| PasswordError::Busy)?;
        let working =
            Arc::clone(&self.working).acquire_owned().await.map_err(|_closed| PasswordError::Interrupted)?;
        spawn_blocking(move || {
            // The work goes on when the caller hangs up, so the permits must end with the work.
            let _permits = (admitted, working);
            work(&password)
        })
        .await
        .map_err(|_panicked_or_stopping| PasswordError::Interrupted)?
    }
}

fn argon2id() -> Argon2<'static> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, PARAMS)
}

fn hash_now(password: &str) -> Result<String, PasswordError> {
    let hash: PasswordHash = argon2id().hash_password(password.as_bytes()).map_err(PasswordError::Hash)?;
    Ok(hash.to_string())
}

fn verify_now(password: &str, hash: &str) -> Result<bool, PasswordError> {
    let hash = PasswordHash::new(hash).map_err(|_damaged| PasswordError::BadHash)?;
    let params = Params::try_from(&hash).map_err(|_unknown| PasswordError::BadHash)?;
    if hash.algorithm != ARGON2ID_IDENT
        || hash.salt.is_none()
        || hash.hash.is_none()
        || params.m_cost() > MAX_MEMORY_KIB
        || params.t_cost() > MAX_PASSES
        || params.p_cost() > MAX_LANES
    {
        return Err(PasswordError::BadHash);
    }
    // Uses the parameters of the stored hash, not ours: they may differ once ours are raised.
    match argon2id().verify_password(password.as_bytes(), &hash) {
        Ok(()) => Ok(true),
        Err(HashError::PasswordInvalid) => Ok(false),
        Err(error) => Err(PasswordError::Hash(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passwords(parallelism: usize) -> Passwords {
        Passwords::new(NonZeroUsize::new(parallelism).unwrap()).unwrap()
    }

    #[tokio::test]
    async fn tells_right_from_wrong() {
        let passwords = passwords(2);
        let hash = passwords.hash("correct horse".into()).await.unwrap();
        assert_eq!(passwords.verify("correct horse".into(), Some(hash.clone())).await, Ok(true));
        assert_eq!(passwords.verify("battery staple".into(), Some(hash.clone())).await, Ok(false));
        assert_ne!(passwords.hash("correct horse".into()).await.unwrap(), hash, "same salt");
    }

    #[tokio::test]
    async fn nobody_costs_what_somebody_costs() {
        let passwords = passwords(2);
        let hash = passwords.hash("correct horse".into()).await.unwrap();
        let parameters = "$argon2id$v=19$m=19456,t=2,p=1$";
        assert!(hash.starts_with(parameters), "{hash}");
        assert!(passwords.nobody.starts_with(parameters), "{}", passwords.nobody);
        assert_eq!(hash.len(), passwords.nobody.len());
        assert_eq!(passwords.verify("correct horse".into(), None).await, Ok(false));
        assert_eq!(passwords.verify("nobody's password".into(), None).await, Ok(false));
    }

    #[tokio::test]
    async fn honours_the_parameters_of_the_stored_hash() {
        let cheap = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(64, 3, 2, None).unwrap());
        let hash = cheap.hash_password(b"correct horse").unwrap().to_string();
        assert!(hash.contains("$m=64,t=3,p=2$"), "{hash}");
        let passwords = passwords(1);
        assert_eq!(passwords.verify("correct horse".into(), Some(hash.clone())).await, Ok(true));
        assert_eq!(passwords.verify("battery staple".into(), Some(hash)).await, Ok(false));
    }

    #[tokio::test]
    async fn refuses_a_stored_hash_that_cannot_be_meant() {
        let passwords = passwords(1);
        let good = passwords.hash("correct horse".into()).await.unwrap();
        for bad in [
            String::new(),
            "correct horse".to_owned(),
            "$2b$12$LQv3c1yqBWVHxkd0LHAkCOYz6TtxMQJqhN8/LewdBPj4J/HS.iK8i".to_owned(),
            "$argon2id$v=19$m=19456,t=2,p=1".to_owned(),
            good.replace("argon2id", "argon2i"),
            good.replace("m=19456", "m=262145"),
            good.replace("m=19456", "m=4294967295"),
            good.replace("t=2", "t=17"),
            good.replace("p=1", "p=17"),
        ] {
            let answer = passwords.verify("correct horse".into(), Some(bad.clone())).await;
            assert_eq!(answer, Err(PasswordError::BadHash), "{bad}");
        }
    }

    #[tokio::test]
    async fn refuses_a_very_long_password() {
        let passwords = passwords(1);
        let longest = "x".repeat(MAX_PASSWORD_BYTES);
        assert!(passwords.hash(longest.clone()).await.is_ok());
        assert_eq!(passwords.hash(format!("{longest}x")).await, Err(PasswordError::TooLong));
        assert_eq!(passwords.verify(format!("{longest}x"), None).await, Err(PasswordError::TooLong));
    }

    #[tokio::test]
    async fn the_queue_is_bounded() {
        let passwords = passwords(1);
        let working = Arc::clone(&passwords.working).acquire_owned().await.unwrap();
        let waiting: Vec<_> = (0..=MAX_WAITING)
            .map(|_| {
                let passwords = passwords.clone();
                tokio::spawn(async move { passwords.run("x".into(), |_| Ok(())).await })
            })
            .collect();
        while passwords.admitted.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(passwords.verify("x".into(), None).await, Err(PasswordError::Busy));
        drop(working);
        for caller in waiting {
            assert_eq!(caller.await.unwrap(), Ok(()));
        }
        assert_eq!(passwords.verify("x".into(), None).await, Ok(false));
    }

    #[tokio::test]
    async fn a_caller_who_hangs_up_does_not_free_the_place() {
        let passwords = passwords(1);
        let (started, has_started) = tokio::sync::oneshot::channel();
        let (finish, may_finish) = std::sync::mpsc::channel::<()>();
        let caller = tokio::spawn({
            let passwords = passwords.clone();
            async move {
                let work = move |_: &str| {
                    started.send(()).unwrap();
                    may_finish.recv().unwrap();
                    Ok(())
                };
                passwords.run("x".into(), work).await
            }
        });
        has_started.await.unwrap();
        caller.abort();
        assert!(caller.await.unwrap_err().is_cancelled());
        assert_eq!(passwords.working.available_permits(), 0);
        finish.send(()).unwrap();
        assert_eq!(passwords.verify("x".into(), None).await, Ok(false));
    }
}
