//! Problems with the rows: cards, sittings and questions.

use super::problem::ProblemList;
use crate::inspect::{Figures, SittingFigures};

/// Adds the problems that concern cards, sittings and questions to the list.
pub(super) fn row_problems(list: &mut ProblemList, figures: &Figures) {
    list.add_rows(
        "duplicate_cards",
        &figures.duplicates,
        format!(
            "groups of cards have the same purchase, subject and number. {} cards are surplus",
            figures.surplus_cards
        ),
        figures.collisions.is_empty() && figures.several_owners.count == 0,
    );
    list.add_rows(
        "cards_of_several_owners",
        &figures.several_owners,
        "cards with the same purchase, subject and number belong to several users or courses. Correct the purchase, \
         the user or the course of the wrong cards",
        false,
    );
    for (key, finding) in &figures.collisions {
        let message = format!(
            "rows of {key} cannot move to the surviving card, because the unique key allows only one such row per \
             card. Decide by hand which row stays, and delete the other rows"
        );
        list.add_rows("child_collision", finding, message, false);
    }
    list.add_rows(
        "null_in_key",
        &figures.incomplete_keys,
        "cards have no purchase, subject or number, so no unique key covers them. Correct them by hand",
        false,
    );
    list.add_rows(
        "number_gaps",
        &figures.number_gaps,
        "purchased subjects have cards whose numbers do not run from 1 without a gap. Correct them by hand",
        false,
    );
    sitting_problems(list, &figures.sittings);
    if let Some(finding) = &figures.overlapping_purchases {
        let message = "users have the same subject through more than one purchase. Decide by hand which purchase counts";
        list.add_rows("overlapping_purchases", finding, message, false);
    }
    if let Some(finding) = &figures.wrong_card_counts {
        let message = "entitlements have more or fewer cards than they grant. Correct them by hand";
        list.add_rows("missing_cards", finding, message, false);
    }
}

/// Adds the differences between cards and their sittings and questions that only a fault of the application explains.
fn sitting_problems(list: &mut ProblemList, found: &SittingFigures) {
    list.add_rows(
        "attempt_numbers",
        &found.double_numbers,
        "cards have two sittings with the same attempt number",
        true,
    );
    list.add_rows(
        "two_open_sittings",
        &found.open_twice,
        "cards have more than one sitting in progress",
        true,
    );
    list.add_rows(
        "attempts_used",
        &found.used_too_low,
        "cards count fewer attempts than they have completed sittings",
        true,
    );
    list.add_rows(
        "attempts_over_limit",
        &found.over_limit,
        "cards count more attempts than they allow",
        true,
    );
    list.add_rows(
        "scores",
        &found.wrong_scores,
        "cards have a first or latest score, percentage, time taken or date that differs from their first or latest \
         sitting",
        true,
    );
    list.add_rows(
        "status",
        &found.wrong_status,
        "cards are available although a sitting is open, or in progress although no sitting is open",
        true,
    );
    list.add_rows(
        "sitting_of_other_user",
        &found.other_users,
        "sittings belong to another user than their card. Decide by hand which user sat the test",
        false,
    );
    list.add_rows(
        "question_sets",
        &found.question_sets,
        "cards have more than one set of questions. Decide by hand which set stays",
        false,
    );
    list.add_rows(
        "refers_to_merged_card",
        &found.refers_to_merged,
        "rows refer to a card that was merged. Make them refer to the `survivor_id` of this card in \
         `mock_test_attempts_merged`",
        false,
    );
}
