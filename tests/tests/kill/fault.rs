//! The bugs that the kill harness must catch. Each bug is a patch in `tests/faults`, and `JISHU_PLANT` switches it on.

/// A bug, by the name of its patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Split,
    Unlocked,
    Swallowed,
    KeyNotCompared,
    Miscounted,
    Unstored,
    NotHeld,
    DeadlineAnew,
    NotAdded,
    ScoredAgain,
    RefundKeepsSittings,
    RefundUnaudited,
    AmountNotCompared,
    CurrencyNotCompared,
    EventIdTrusted,
    EachSourceCounts,
    SecondPaymentDropped,
    LateMoneyKept,
    RefundNotListed,
    GrantOutside,
    GrantedAgain,
}

impl Fault {
    /// [`Self::Unlocked`] must be the last, because its test drops a unique key.
    pub(crate) const OF_PURCHASES: [Self; 5] =
        [Self::Split, Self::Swallowed, Self::KeyNotCompared, Self::Miscounted, Self::Unlocked];

    pub(crate) const OF_SITTINGS: [Self; 5] =
        [Self::Unstored, Self::NotHeld, Self::DeadlineAnew, Self::NotAdded, Self::ScoredAgain];

    pub(crate) const OF_REFUNDS: [Self; 2] = [Self::RefundKeepsSittings, Self::RefundUnaudited];

    pub(crate) const OF_ORDERS: [Self; 9] = [
        Self::AmountNotCompared,
        Self::CurrencyNotCompared,
        Self::EventIdTrusted,
        Self::EachSourceCounts,
        Self::SecondPaymentDropped,
        Self::LateMoneyKept,
        Self::RefundNotListed,
        Self::GrantOutside,
        Self::GrantedAgain,
    ];

    /// Returns the name of the bug's patch, which is also its value in `JISHU_PLANT`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Split => "split",
            Self::Unlocked => "unlocked",
            Self::Swallowed => "swallowed",
            Self::KeyNotCompared => "key-not-compared",
            Self::Miscounted => "miscounted",
            Self::Unstored => "unstored",
            Self::NotHeld => "not-held",
            Self::DeadlineAnew => "deadline-anew",
            Self::NotAdded => "not-added",
            Self::ScoredAgain => "scored-again",
            Self::RefundKeepsSittings => "refund-keeps-sittings",
            Self::RefundUnaudited => "refund-unaudited",
            Self::AmountNotCompared => "amount-not-compared",
            Self::CurrencyNotCompared => "currency-not-compared",
            Self::EventIdTrusted => "event-id-trusted",
            Self::EachSourceCounts => "each-source-counts",
            Self::SecondPaymentDropped => "second-payment-dropped",
            Self::LateMoneyKept => "late-money-kept",
            Self::RefundNotListed => "refund-not-listed",
            Self::GrantOutside => "grant-outside",
            Self::GrantedAgain => "granted-again",
        }
    }

    /// Returns whether a violation is a sign of this bug. The bug can cause other violations too.
    pub(crate) fn shows_in(self, violation: &str) -> bool {
        let signs: &[&str] = match self {
            Self::Split | Self::Miscounted => &["another number of cards"],
            Self::Unlocked => &["owned twice"],
            // The bug ignores an error of the last statement. PostgreSQL then undoes the whole purchase, and the other
            // databases keep the earlier statements.
            Self::Swallowed => &["without exactly one audit event", "is lost", ": first PurchaseResponse"],
            Self::KeyNotCompared => &["another body was acknowledged"],
            Self::Unstored => &["is lost in slot"],
            // The server shows an answer that was saved after the end of the sitting, but did not score it.
            Self::NotHeld => {
                &["is lost in slot", "the stored answers give", "submitted again", "changed its result"]
            }
            Self::DeadlineAnew => &["one sitting was shown as", "the deadline was", "changed its deadline"],
            Self::NotAdded => &["learner and topic"],
            Self::RefundKeepsSittings => &["an open sitting on an ended entitlement"],
            Self::RefundUnaudited => &["without exactly one audit event"],
            Self::AmountNotCompared
            | Self::CurrencyNotCompared
            | Self::EventIdTrusted
            | Self::EachSourceCounts
            | Self::SecondPaymentDropped
            | Self::LateMoneyKept
            | Self::RefundNotListed => &["the provider's books: captured is not"],
            Self::GrantOutside | Self::GrantedAgain => &["no order made it"],
            Self::ScoredAgain => &["submitted again", "changed its result", "differ in number"],
        };
        signs.iter().any(|sign| violation.contains(sign))
    }
}

#[test]
fn each_fault_is_a_patch() {
    let folder =
        std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/faults")).expect("the folder of patches");
    let files =
        folder.map(|entry| entry.expect("a file").file_name().into_string().expect("a name in UTF-8"));
    let mut patches: Vec<String> =
        files.filter_map(|file| file.strip_suffix(".patch").map(str::to_owned)).collect();
    patches.sort();
    let faults = Fault::OF_PURCHASES.into_iter().chain(Fault::OF_SITTINGS);
    let faults = faults.chain(Fault::OF_REFUNDS).chain(Fault::OF_ORDERS);
    let mut names: Vec<&str> = faults.map(Fault::name).collect();
    names.sort_unstable();
    assert_eq!(patches, names);
}
