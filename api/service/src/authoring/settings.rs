//! Applies the settings of tests that an edit of a subject contains.

use jishu_entity::subject;

use crate::scoring::Marks;
use crate::test_settings::{self, Setting, SettingsRefusal, TestSettingsChange};

impl TestSettingsChange {
    /// Returns the change without the values that the row has already, so that these values are not checked.
    pub(super) fn without_values_of(&self, row: &subject::Model) -> Self {
        let marks = |hundredths: i32| rust_decimal::Decimal::new(hundredths.into(), 2);
        Self {
            correct: self.correct.filter(|given| *given != marks(row.marks_correct)),
            wrong: self.wrong.filter(|given| *given != marks(row.marks_wrong)),
            unanswered: self.unanswered.filter(|given| *given != marks(row.marks_unanswered)),
            questions_per_test: self.questions_per_test.filter(|given| *given != row.questions_per_test),
            time_limit_seconds: self.time_limit_seconds.filter(|given| *given != row.time_limit_seconds),
            max_attempts: self.max_attempts.filter(|given| *given != row.max_attempts),
            grading_method: self.grading_method.filter(|given| *given != row.grading_method),
            review_policy: self.review_policy.filter(|given| *given != row.review_policy),
            blueprint: self.blueprint.clone(),
        }
    }

    /// Checks the settings and writes them to a row, except the blueprint, which is not in the row.
    pub(super) fn apply_to(&self, row: &mut subject::Model) -> Result<(), SettingsRefusal> {
        test_settings::check(self)?;
        if self.correct.or(self.wrong).or(self.unanswered).is_some() {
            let Marks { correct, wrong, unanswered } = test_settings::scheme(self, row)?;
            row.marks_correct = correct;
            row.marks_wrong = wrong;
            row.marks_unanswered = unanswered;
        }
        row.questions_per_test = self.questions_per_test.unwrap_or(row.questions_per_test);
        row.time_limit_seconds = self.time_limit_seconds.unwrap_or(row.time_limit_seconds);
        row.max_attempts = self.max_attempts.unwrap_or(row.max_attempts);
        row.grading_method = self.grading_method.unwrap_or(row.grading_method);
        row.review_policy = self.review_policy.unwrap_or(row.review_policy);
        Ok(())
    }
}

/// Returns the setting that a refusal is about. None if the refusal is not about one setting.
pub(super) fn setting_of(refusal: &SettingsRefusal) -> Option<Setting> {
    match refusal {
        SettingsRefusal::Marks(setting) | SettingsRefusal::Range { setting, .. } => Some(*setting),
        SettingsRefusal::Disagreement { .. } => Some(Setting::QuestionsPerTest),
        SettingsRefusal::Scheme { .. } => Some(Setting::Correct),
        SettingsRefusal::NoSuchTopic(_) => Some(Setting::Blueprint),
        SettingsRefusal::NotFound | SettingsRefusal::NothingChanged => None,
    }
}
