use super::*;

/// Hashes of "correct horse battery" by Werkzeug 0.16.1, 2.0.3 and 3.1.
const OF_WERKZEUG: [&str; 9] = [
    "scrypt:32768:8:1$pqemSvxh47zPwLPK$00ab3e344a6e5aeeb4a5c1f456e57d58a3dc21ed791d35cc4c049d20d02869e2299508f237dbb8118d990bf373df893c3074e51db2f2e171019f8f97649106f0",
    "scrypt:16384:8:2$HISZgJR5BaTZCuw4$7bbdff3013c982d67db322052d68a090a077e36f2126e0f975c2e673daeeb9918bae58690820ad66fde9c69cf72d6c1120161cb68a3a39a211a6870d88c4c387",
    "pbkdf2:sha256:1000000$MxIvswGMNkXzGH4c$f7cdb78d5aeec5236db5a65572fc1567a1237cc6305bc907bc6c8a9cef525aa0",
    "pbkdf2:sha256:150000$yxXUienQ$8c95789a630fcfa584e2c123f3e68a56d3fec1c1315d7d069c77daac6a205795",
    "pbkdf2:sha256:260000$6909WLCfDNfNlC6i$4814d9d19c76ed2dbc963a99ded530b92382ad6bd2809853633ab8bf743dbdb5",
    "pbkdf2:sha256:1000$TsJBS4KUounN08uI$067c1055c5728bacb6c3099aac10687a6cd62c84ba75bc87e6a05b76782df13a",
    "pbkdf2:sha512:1000$xHtemUVJxyNBkB4f$c4d50b36748031700ef7a7ac6853fc430a7e4c786d477c3e188ac317c8cd61c3752e4220466f437a08f6ea7607c1345ca962d271bf640ab3abe0a4d35db66bf7",
    "pbkdf2:sha1:1000$gLuGf5SKTA55PoX6$555427c868693e21c9a35bf1d1666d98d55a9d7a",
    "pbkdf2:sha384:1000$YZTZQws2CFH8U2f2$eccf054ed8167ced8b4d40f2c459d8b66e945cb111eea087a21b238d13979ff19a0348d4eba5d6e9f0cb4af2f60451ca",
];

fn passwords(parallelism: usize) -> Passwords {
    Passwords::new(NonZeroUsize::new(parallelism).unwrap()).unwrap()
}

fn methods(passwords: &Passwords) -> Vec<Method> {
    passwords.measured().methods.iter().map(|measured| measured.method).collect()
}

/// Adds a method to the measured methods, with this time for a comparison.
fn add_measured(passwords: &Passwords, method: Method, takes: Duration) {
    let permits = passwords.permits(method);
    passwords.measured().methods.push(MeasuredMethod { method, takes, permits });
}

async fn verdict(passwords: &Passwords, password: &str, hash: Option<&str>) -> PasswordVerdict {
    passwords.verify(password.into(), hash.map(str::to_owned)).await.unwrap().verdict
}

#[tokio::test]
async fn a_right_password_matches_and_a_wrong_one_does_not() {
    let passwords = passwords(2);
    let hash = passwords.hash("correct horse".into()).await.unwrap();
    assert_eq!(verdict(&passwords, "correct horse", Some(&hash)).await, PasswordVerdict::Right);
    assert_eq!(verdict(&passwords, "battery staple", Some(&hash)).await, PasswordVerdict::Wrong);
    assert_ne!(
        passwords.hash("correct horse".into()).await.unwrap(),
        hash,
        "two hashes of a password are equal, so they have the same salt"
    );
}

#[tokio::test]
async fn an_unknown_user_costs_the_same_work() {
    let passwords = passwords(2);
    let hash = passwords.hash("correct horse".into()).await.unwrap();
    let parameters = "$argon2id$v=19$m=19456,t=2,p=1$";
    assert!(hash.starts_with(parameters), "{hash}");
    assert!(passwords.dummy_hash.starts_with(parameters), "{}", passwords.dummy_hash);
    assert_eq!(hash.len(), passwords.dummy_hash.len());
    assert_eq!(verdict(&passwords, "correct horse", None).await, PasswordVerdict::Wrong);
    assert_eq!(verdict(&passwords, "nobody's password", None).await, PasswordVerdict::Wrong);
    assert_eq!(passwords.verify("x".into(), None).await.unwrap().pad, Duration::ZERO);
}

#[tokio::test]
async fn the_parameters_of_the_stored_hash_are_used() {
    let cheap = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(64, 3, 2, None).unwrap());
    let hash = cheap.hash_password(b"correct horse").unwrap().to_string();
    assert!(hash.contains("$m=64,t=3,p=2$"), "{hash}");
    let passwords = passwords(1);
    assert_eq!(verdict(&passwords, "correct horse", Some(&hash)).await, PasswordVerdict::RightAndOutdated);
    assert_eq!(verdict(&passwords, "battery staple", Some(&hash)).await, PasswordVerdict::Wrong);
}

#[tokio::test]
async fn hashes_of_werkzeug_are_compared() {
    let passwords = passwords(2);
    for hash in OF_WERKZEUG {
        assert_eq!(
            verdict(&passwords, "correct horse battery", Some(hash)).await,
            PasswordVerdict::RightAndOutdated,
            "{hash}"
        );
        assert_eq!(verdict(&passwords, "correct horse", Some(hash)).await, PasswordVerdict::Wrong, "{hash}");
    }
    for hash in [
        "pbkdf2:sha256:1000$QzZuTSCfDWdJk4U9$10389fd769bca46388e73a31323a2015b5723566195712a69c6c2398d22d44ba",
        "scrypt:1024:8:1$Qdaf1yJQzfVSjXY7$f368e896860a9daba17c4dbdb215984301d5e7828d44e181ecfb78debcd481912ee9a00c7ca121401cc268b02ffc9fa3a590bacb468374d6196b876dbbddd307",
    ] {
        assert_eq!(
            verdict(&passwords, "pässwörd 😀", Some(hash)).await,
            PasswordVerdict::RightAndOutdated,
            "{hash}"
        );
    }
    // A method that was written by hand may lack its numbers. Werkzeug itself always writes them.
    for whole in [OF_WERKZEUG[0], OF_WERKZEUG[2]] {
        let short = whole.replace("scrypt:32768:8:1", "scrypt").replace("pbkdf2:sha256:1000000", "pbkdf2");
        let right = verdict(&passwords, "correct horse battery", Some(&short)).await;
        assert_eq!(right, PasswordVerdict::RightAndOutdated, "{short}");
    }
}

#[tokio::test]
async fn damaged_and_excessive_hashes_are_unreadable() {
    let passwords = passwords(1);
    let good = passwords.hash("correct horse".into()).await.unwrap();
    let (scrypt, pbkdf2) = (OF_WERKZEUG[0], OF_WERKZEUG[5]);
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
        "sha256$XI27eD22$796b7a91346452d316fb0bd6f2f33b011b5c8f2c3c6022e6fbbb7ff7b3d7f72c".to_owned(),
        "plain$$correct horse".to_owned(),
        pbkdf2.replace(":1000$", ":0$"),
        pbkdf2.replace(":1000$", ":2000001$"),
        pbkdf2.replace(":1000$", ":99999999999$"),
        pbkdf2.replace(":1000$", ":+1000$"),
        pbkdf2.replace(":1000$", ":1000:1$"),
        pbkdf2.replace("sha256", "md5"),
        pbkdf2.replace("067c", "067C"),
        pbkdf2.replace("067c", "06 7"),
        pbkdf2[..pbkdf2.len() - 2].to_owned(),
        pbkdf2[..pbkdf2.len() - 1].to_owned(),
        pbkdf2.replace('$', ""),
        scrypt.replace("32768:8:1", "2097152:8:1"),
        scrypt.replace("32768:8:1", "32767:8:1"),
        scrypt.replace("32768:8:1", "1:8:1"),
        scrypt.replace("32768:8:1", "0:8:1"),
        scrypt.replace("32768:8:1", "32768:0:1"),
        scrypt.replace("32768:8:1", "32768:8:0"),
        scrypt.replace("32768:8:1", "2:4294967295:4294967295"),
        scrypt.replace("32768:8:1", "32768:8"),
        scrypt.replace("32768:8:1", "32768:8:1:1"),
        // The product of N, R and P is allowed in the next five hashes, but N, R or P alone is too large.
        scrypt.replace("32768:8:1", "2:524288:1"),
        scrypt.replace("32768:8:1", "2:1:524288"),
        scrypt.replace("32768:8:1", "2:33:1"),
        scrypt.replace("32768:8:1", "2:1:17"),
        scrypt.replace("32768:8:1", "262144:1:1"),
        // N alone is within its limit here, but N is too large for R: N must be less than 2^(16 R).
        scrypt.replace("32768:8:1", "65536:1:1"),
        // The library refuses these two hashes only when it compares a password.
        good.replace("v=19", "v=99"),
        "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".to_owned(),
    ] {
        assert_eq!(
            verdict(&passwords, "correct horse", Some(&bad)).await,
            PasswordVerdict::Unreadable,
            "{bad}"
        );
    }
    assert_eq!(methods(&passwords), [Method::CURRENT]);
}

#[tokio::test]
async fn every_refusal_takes_the_same_time_while_there_are_old_hashes() {
    let passwords = passwords(16);
    let ours = passwords.hash("correct horse battery".into()).await.unwrap();
    passwords
        .expect_methods(vec!["pbkdf2:sha256:50000".into(), "scrypt:32768:8:1".into(), "md5".into()])
        .await
        .unwrap();
    let (floor, permits) = {
        let measured = passwords.measured();
        assert_eq!(measured.methods.len(), 3);
        (measured.floor(), measured.permits())
    };
    assert_eq!(permits, 2, "32 MiB did not take two permits of 19 MiB");
    assert!(floor > Duration::ZERO);
    for hash in [None, Some(ours.as_str()), Some(OF_WERKZEUG[0]), Some("$2b$12$unreadable")] {
        let verified = passwords.verify("wrong".into(), hash.map(str::to_owned)).await.unwrap();
        let whole = verified.work + verified.pad;
        assert_eq!(whole.as_nanos() % floor.as_nanos(), 0, "{hash:?}: {verified:?}");
        assert!(!whole.is_zero());
    }
    assert_eq!(passwords.measured().floor(), floor);
    // A method that `expect_methods` did not name is measured at the first comparison with it.
    let pbkdf2 = OF_WERKZEUG[3].to_owned();
    let unexpected = passwords.verify("wrong".into(), Some(pbkdf2)).await.unwrap();
    let raised = passwords.measured().floor();
    assert_eq!(passwords.measured().methods.len(), 4);
    assert!(raised >= floor && (unexpected.work + unexpected.pad).as_nanos() % raised.as_nanos() == 0);
}

#[tokio::test]
async fn a_hash_of_a_slow_method_is_unreadable_and_does_not_delay_refusals() {
    let passwords = passwords(4);
    let scrypt = Method::of_werkzeug("scrypt:32768:8:1").unwrap();
    add_measured(&passwords, scrypt, MAX_COMPARISON_TIME + Duration::from_millis(1));
    for password in ["correct horse battery", "wrong"] {
        assert_eq!(verdict(&passwords, password, Some(OF_WERKZEUG[0])).await, PasswordVerdict::Unreadable);
    }
    {
        let measured = passwords.measured();
        assert_eq!((measured.floor(), measured.permits()), (Duration::ZERO, 1));
    }
    let pbkdf2 = Method::of_werkzeug("pbkdf2:sha256:1000").unwrap();
    add_measured(&passwords, pbkdf2, MAX_COMPARISON_TIME);
    assert_eq!(passwords.measured().floor(), MAX_COMPARISON_TIME, "the margin exceeds the maximum");
    // `expect_methods` measures a slow method again if it is in the list. It forgets a method that is not in the
    // list.
    passwords.expect_methods(vec!["scrypt:32768:8:1".into()]).await.unwrap();
    assert_eq!(methods(&passwords), [Method::CURRENT, scrypt]);
    assert_eq!(
        verdict(&passwords, "correct horse battery", Some(OF_WERKZEUG[0])).await,
        PasswordVerdict::RightAndOutdated
    );
    passwords.expect_methods(Vec::new()).await.unwrap();
    assert_eq!(methods(&passwords), [Method::CURRENT]);
    assert_eq!(passwords.measured().floor(), Duration::ZERO);
}

#[tokio::test]
async fn a_method_beyond_the_maximum_is_not_used() {
    let passwords = passwords(2);
    for iterations in 1..=MAX_OLD_METHODS {
        let method = Method::of_werkzeug(&format!("pbkdf2:sha1:{iterations}")).unwrap();
        add_measured(&passwords, method, Duration::from_millis(1));
    }
    let before = methods(&passwords);
    let floor = passwords.measured().floor();
    for password in ["correct horse battery", "wrong"] {
        let verified = passwords.verify(password.into(), Some(OF_WERKZEUG[3].to_owned())).await.unwrap();
        assert_eq!(verified.verdict, PasswordVerdict::Unreadable);
        assert_eq!((verified.work + verified.pad).as_nanos() % floor.as_nanos(), 0, "{verified:?}");
    }
    assert_eq!(methods(&passwords), before);
    assert_eq!(passwords.measured().floor(), floor);
}

#[tokio::test]
async fn a_refusal_keeps_its_permits_during_its_pad() {
    let ours = passwords(1).hash("correct horse battery".into()).await.unwrap();
    let scrypt = Method::of_werkzeug("scrypt:32768:8:1").unwrap();
    let hashes = [None, Some(ours.as_str()), Some(OF_WERKZEUG[0]), Some("$2b$12$unreadable")];
    for hash in hashes {
        // Each hash has permits of its own, so that the pads of the others may end meanwhile.
        let passwords = passwords(16);
        add_measured(&passwords, scrypt, MAX_COMPARISON_TIME);
        let verified = passwords.verify("wrong".into(), hash.map(str::to_owned)).await.unwrap();
        assert_eq!(verified.hold(), verified.pad, "{hash:?}");
        assert_eq!(passwords.working.available_permits(), 14, "{hash:?}");
    }
    // A right password frees its permits at once.
    let passwords = passwords(16);
    add_measured(&passwords, scrypt, MAX_COMPARISON_TIME);
    let right = passwords.verify("correct horse battery".into(), Some(ours)).await.unwrap();
    assert_eq!(right.hold(), Duration::ZERO);
    assert_eq!(passwords.working.available_permits(), 16);
}

#[tokio::test]
async fn the_pad_continues_after_the_caller_hangs_up() {
    let passwords = passwords(2);
    let hour = Duration::from_secs(3_600);
    // The permits are free again after a short pad. So the next call gets them.
    passwords.run("x".into(), 2, |_| Ok(((), Duration::from_millis(1)))).await.unwrap();
    passwords.run("x".into(), 2, move |_| Ok(((), hour))).await.unwrap();
    assert_eq!(passwords.working.available_permits(), 0);
    let waiting = tokio::spawn({
        let passwords = passwords.clone();
        async move { passwords.verify("x".into(), None).await.map(|verified| verified.verdict) }
    });
    while passwords.admitted.available_permits() > MAX_WAITING_CALLERS {
        tokio::task::yield_now().await;
    }
    assert!(!waiting.is_finished());
    waiting.abort();
}

#[test]
fn work_is_padded_to_a_multiple_of_the_floor() {
    let ms = Duration::from_millis;
    assert_eq!(pad(ms(0), ms(5)), ms(0));
    assert_eq!(pad(ms(100), ms(30)), ms(70));
    assert_eq!(pad(ms(100), ms(130)), ms(70));
}

#[tokio::test]
async fn a_server_with_one_core_compares_expensive_hashes() {
    let passwords = passwords(1);
    passwords.expect_methods(vec!["scrypt:32768:8:1".into()]).await.unwrap();
    assert_eq!(
        verdict(&passwords, "correct horse battery", Some(OF_WERKZEUG[0])).await,
        PasswordVerdict::RightAndOutdated
    );
}

#[tokio::test]
async fn a_very_long_password_is_refused() {
    let passwords = passwords(1);
    let longest = "x".repeat(MAX_PASSWORD_BYTES);
    assert!(passwords.hash(longest.clone()).await.is_ok());
    assert_eq!(passwords.hash(format!("{longest}x")).await, Err(PasswordError::TooLong));
    assert_eq!(passwords.verify(format!("{longest}x"), None).await.err(), Some(PasswordError::TooLong));
}

#[tokio::test]
async fn the_queue_is_bounded() {
    let passwords = passwords(1);
    let working = Arc::clone(&passwords.working).acquire_owned().await.unwrap();
    let waiting: Vec<_> = (0..=MAX_WAITING_CALLERS)
        .map(|_| {
            let passwords = passwords.clone();
            tokio::spawn(async move { passwords.run("x".into(), 1, |_| Ok(((), Duration::ZERO))).await })
        })
        .collect();
    while passwords.admitted.available_permits() > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(passwords.verify("x".into(), None).await.err(), Some(PasswordError::Busy));
    drop(working);
    for caller in waiting {
        assert_eq!(caller.await.unwrap(), Ok(()));
    }
    assert_eq!(verdict(&passwords, "x", None).await, PasswordVerdict::Wrong);
}

#[tokio::test]
async fn the_permit_stays_taken_after_the_caller_hangs_up() {
    let passwords = passwords(1);
    let (started, has_started) = tokio::sync::oneshot::channel();
    let (finish, may_finish) = std::sync::mpsc::channel::<()>();
    let caller = tokio::spawn({
        let passwords = passwords.clone();
        async move {
            let work = move |_: &str| {
                started.send(()).unwrap();
                may_finish.recv().unwrap();
                Ok(((), Duration::ZERO))
            };
            passwords.run("x".into(), 1, work).await
        }
    });
    has_started.await.unwrap();
    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());
    assert_eq!(passwords.working.available_permits(), 0);
    finish.send(()).unwrap();
    assert_eq!(verdict(&passwords, "x", None).await, PasswordVerdict::Wrong);
}
