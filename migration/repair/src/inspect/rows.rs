//! The cards that a repair corrects, and their sittings, as plain values.

use std::collections::BTreeSet;

/// The purchase, the subject and the number of a card, as text. Duplicate cards have the same key.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TestKey {
    pub(crate) purchase_id: String,
    pub(crate) subject_id: String,
    pub(crate) test_number: String,
}

/// The cards of one purchase, subject and number, with their sittings. A card without duplicates is a group too.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct CardGroup {
    pub(crate) key: TestKey,
    /// The cards. The survivor comes first.
    pub(crate) cards: Vec<CardRow>,
    /// The sittings of all cards, in order of their ids.
    pub(crate) sittings: Vec<SittingRow>,
}

impl CardGroup {
    /// Returns the sittings of a card.
    pub(crate) fn sittings_of(&self, card: i64) -> impl Iterator<Item = &SittingRow> {
        self.sittings.iter().filter(move |sitting| sitting.card == card)
    }

    /// Returns `users` if the cards belong to several users, or else `courses` if they belong to several courses. No
    /// rule decides which of these cards stays.
    pub(crate) fn several_owners(&self) -> Option<&'static str> {
        let differ = |owner: fn(&CardRow) -> Option<&String>| {
            self.cards.iter().filter_map(owner).collect::<BTreeSet<_>>().len() > 1
        };
        if differ(|card| card.user.as_ref()) {
            return Some("users");
        }
        differ(|card| card.course.as_ref()).then_some("courses")
    }
}

/// A card. A value is `None` if its column does not exist, or if it is null or cannot be read.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct CardRow {
    pub(crate) id: i64,
    pub(crate) user: Option<String>,
    pub(crate) course: Option<String>,
    /// The number of attempts used.
    pub(crate) used: Option<i64>,
    /// The number of attempts allowed.
    pub(crate) allowed: Option<i64>,
    pub(crate) status: Option<String>,
    /// The number of questions of the test, as the card states it.
    pub(crate) total: Option<i64>,
    /// Whether the card says that its questions exist.
    pub(crate) generated: bool,
    pub(crate) latest: SittingSummary,
    pub(crate) first: SittingSummary,
    /// The number of questions that refer to the card.
    pub(crate) questions: i64,
}

/// The values that a card stores about its first or its latest sitting.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct SittingSummary {
    pub(crate) score: Option<f64>,
    pub(crate) percentage: Option<f64>,
    pub(crate) time_taken: Option<f64>,
    pub(crate) date: Option<String>,
}

/// A sitting.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct SittingRow {
    pub(crate) id: i64,
    pub(crate) card: i64,
    /// The attempt number.
    pub(crate) number: Option<i64>,
    pub(crate) status: Option<String>,
    /// The time of the sitting, from the first column of [`SITTING_TIME_COLUMNS`](crate::names::SITTING_TIME_COLUMNS)
    /// that exists and holds times.
    pub(crate) time: Option<String>,
    pub(crate) started: Option<String>,
    pub(crate) completed: Option<String>,
    pub(crate) score: Option<f64>,
    pub(crate) percentage: Option<f64>,
    pub(crate) time_taken: Option<f64>,
}

impl SittingRow {
    /// Returns whether the sitting is in progress.
    pub(crate) fn is_open(&self) -> bool {
        self.status.as_deref().is_some_and(|status| status.eq_ignore_ascii_case("in_progress"))
    }

    /// Returns whether the sitting was completed with a score.
    pub(crate) fn is_scored(&self) -> bool {
        self.score.is_some() && self.is_completed()
    }

    /// Returns whether the sitting was completed. A sitting without a status counts as completed if it has a score or
    /// an end.
    pub(crate) fn is_completed(&self) -> bool {
        match &self.status {
            Some(status) => status.eq_ignore_ascii_case("completed"),
            None => self.score.is_some() || self.completed.is_some(),
        }
    }

    /// Returns the time by which the sitting is sorted: its time, or else its end. `None` if it has neither.
    pub(crate) fn sort_time(&self) -> Option<&str> {
        self.time.as_deref().or(self.completed.as_deref())
    }
}
