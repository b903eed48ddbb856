use super::*;

const OWNER: &str = "asha@example.com";

fn client(last: u8) -> ClientAddress {
    ClientAddress::new(IpAddr::from([192, 0, 2, last]))
}

fn options(sign_ins_per_minute: u32, sign_in_failures_per_hour: u32) -> LimitOptions {
    LimitOptions { sign_ins_per_minute, sign_in_failures_per_hour, ..LimitOptions::default() }
}

fn limits(attempts_per_minute: u32, failures_per_hour: u32) -> SignInLimits {
    SignInLimits::new(&options(attempts_per_minute, failures_per_hour))
}

/// Fails to sign in until a budget is spent, and returns the refusal.
fn spend(limits: &SignInLimits, client: ClientAddress, email: &str) -> SpentBudget {
    loop {
        match limits.sign_in(client, email) {
            Ok(attempt) => assert_eq!(attempt.failed(), None),
            Err(spent) => return spent,
        }
    }
}

#[test]
fn an_abandoned_attempt_counts_as_failed() {
    let limits = limits(100, 0);
    let attempts = (0..1_000).filter_map(|_| limits.sign_in(client(1), OWNER).ok()).map(drop);
    assert_eq!(attempts.count(), 20);
}

#[test]
fn a_right_password_that_waits_for_a_code_costs_the_address_and_not_the_account() {
    let limits = limits(100, 1);
    for _ in 0..100 {
        limits.sign_in(client(1), OWNER).unwrap().half_succeeded();
    }
    assert!(!limits.sign_in(client(1), OWNER).err().unwrap().of_account);
    limits.sign_in(client(2), OWNER).unwrap().half_succeeded();
}

#[test]
fn new_accounts_are_limited_by_the_hour() {
    let limits = SignInLimits::new(&LimitOptions { registrations_per_hour: 3, ..options(0, 0) });
    for _ in 0..3 {
        limits.register(client(1)).unwrap().failed();
        limits.register(client(1)).unwrap().undecided();
        limits.register(client(1)).unwrap().succeeded();
    }
    let wait = limits.register(client(1)).err().unwrap();
    assert!((1_190..=1_200).contains(&wait.seconds()), "{wait:?}");
    limits.exchange(client(1), "jrt_guess", false).unwrap().failed();
    limits.register(client(2)).unwrap().succeeded();
}

#[test]
fn a_failure_takes_five_units_from_its_address() {
    let limits = limits(100, 0);
    for number in 0..20 {
        limits.sign_in(client(1), &format!("{number}@example.com")).unwrap().failed();
    }
    let spent = limits.sign_in(client(1), OWNER).err().unwrap();
    assert!(!spent.of_account);
    assert!(limits.register(client(1)).is_err());
    for _ in 0..100 {
        limits.sign_in(client(2), OWNER).unwrap().succeeded();
    }
    assert!(limits.sign_in(client(2), OWNER).is_err());
}

#[test]
fn refresh_tokens_have_their_own_budget_and_valid_ones_are_free() {
    let limits = limits(100, 0);
    spend(&limits, client(1), OWNER);
    for number in 0..20 {
        limits.exchange(client(1), &format!("jrt_{number}"), false).unwrap().failed();
    }
    assert!(limits.exchange(client(1), "jrt_unmarked", false).is_err());
    for number in 0..1_000 {
        limits.exchange(client(1), &format!("jrt_{number} marked"), true).unwrap().succeeded();
    }
    // A token that this deployment issued is admitted even if the budget is spent. After its first refusal the token is
    // remembered, and admitted only if the budget has a unit.
    limits.exchange(client(1), "jrt_revoked", true).unwrap().failed();
    assert!(limits.exchange(client(1), "jrt_revoked", true).is_err());
    for number in 0..20 {
        limits.exchange(client(2), &format!("jrt_revoked {number}"), true).unwrap().failed();
    }
    assert!(limits.exchange(client(2), "jrt_guess", false).is_err(), "the first refusal did not count");
    limits.sign_in(client(2), OWNER).unwrap().succeeded();
}

#[test]
fn guesses_from_many_addresses_reach_the_limit_of_the_account() {
    let limits = limits(0, 20);
    for last in 0..20 {
        limits.sign_in(client(last), OWNER).unwrap().failed();
    }
    let SpentBudget { wait, of_account } = limits.sign_in(client(200), OWNER).err().unwrap();
    assert!(of_account);
    assert!((170..=180).contains(&wait.seconds()), "one guess every three minutes: {wait:?}");
    limits.sign_in(client(200), "other@example.com").unwrap().failed();
}

#[test]
fn the_owner_can_still_sign_in_from_a_known_address() {
    let limits = limits(100, 20);
    let spent = spend(&limits, client(1), OWNER);
    for _ in 0..3 {
        for _ in 0..19 {
            let attempt = limits.sign_in_where_known(client(1), OWNER, spent).unwrap();
            assert_eq!(
                attempt.failed(),
                Some(spent),
                "the response differs from that for an account that is not known at the address"
            );
        }
        limits.sign_in_where_known(client(1), OWNER, spent).unwrap().succeeded();
    }
    assert!(limits.sign_in(client(1), OWNER).is_err(), "the guesser is not locked out any more");
    while let Ok(attempt) = limits.sign_in_where_known(client(1), OWNER, spent) {
        attempt.failed();
    }
    // Another account that is known at the address can sign in.
    limits.sign_in_where_known(client(1), "ravi@example.com", spent).unwrap().succeeded();
}

#[test]
fn a_refused_attempt_takes_nothing_and_gets_the_longer_wait() {
    let limits = limits(100, 20);
    for last in 0..20 {
        limits.sign_in(client(last), OWNER).unwrap().failed();
    }
    for _ in 0..1_000 {
        let spent = limits.sign_in(client(100), OWNER).err().unwrap();
        assert!(spent.of_account && (170..=180).contains(&spent.wait.seconds()), "{spent:?}");
    }
    for _ in 0..100 {
        limits.sign_in(client(100), "other@example.com").unwrap().succeeded();
    }
    let spent = limits.sign_in(client(100), OWNER).err().unwrap();
    assert!((170..=180).contains(&spent.wait.seconds()), "the wait is not the longer of the two: {spent:?}");
}

#[test]
fn sign_ins_are_remembered_by_address() {
    let (limits, now) = (limits(0, 20), DateTime::UNIX_EPOCH);
    assert!(!limits.knows(client(1), OWNER));
    limits.remember(client(1), OWNER, now);
    assert!(limits.knows(client(1), OWNER) && !limits.knows(client(2), OWNER));
    assert!(limits.has_recorded(client(1), OWNER, now + TimeDelta::hours(23)));
    assert!(!limits.has_recorded(client(1), OWNER, now + TimeDelta::hours(24)));
    let asked = (0..1_000).filter(|_| limits.may_look_up(client(3), OWNER)).count();
    assert!((10..=11).contains(&asked), "{asked}");
    assert!(limits.may_look_up(client(3), "other@example.com"));
}

#[test]
fn successes_of_strangers_do_not_count() {
    let limits = limits(0, 2);
    for last in 0..100 {
        limits.sign_in(client(last), OWNER).unwrap().succeeded();
        limits.sign_in(client(last), OWNER).unwrap().undecided();
    }
}

#[test]
fn running_attempts_count() {
    let limits = limits(0, 3);
    let attempts: Vec<_> = (0..10).filter_map(|last| limits.sign_in(client(last), OWNER).ok()).collect();
    assert_eq!(attempts.len(), 3);
}
