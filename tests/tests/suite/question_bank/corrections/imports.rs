//! Imports whose keys differ from those of fixed tests.

use std::collections::BTreeSet;
use std::sync::Arc;

use jishu_tests::{Imported, TestApp, on_each_database};
use serde_json::json;

use super::super::rows;
use super::{BANK, World, session, sit, slots};

on_each_database!(
    an_import_with_another_key_tells_of_fixed_tests,
    an_import_corrects_keys_for_a_reason,
    an_edit_of_options_is_no_other_key,
    a_refused_question_takes_away_only_its_own_losses,
);

fn notices(imported: &Imported) -> Vec<(i64, &str)> {
    imported.notices.iter().map(|notice| (notice.line.unwrap(), notice.text.as_str())).collect()
}

async fn an_import_with_another_key_tells_of_fixed_tests(app: Arc<TestApp>) {
    let world = World::new(&app).await;
    let (asha, card) = world.learner(&app, "Asha").await;
    sit(&asha, &card, "56", "Oxygen").await;
    let file = BANK.replace("#54:1 #### There are 54.", "#56:1 #### There are 56.");
    let dry = world.author.import(&world.subject, &file).with(&json!({ "dryRun": true })).await;
    let answer = world.author.import(&world.subject, &file).await;
    assert_eq!(dry, answer);
    assert_eq!(answer.counts(), [0, 1, 1, 0]);
    let told = notices(&answer);
    assert!(told.len() == 1 && told[0].0 == 2 && told[0].1.starts_with("1 fixed test keeps"), "{told:?}");
    assert!(told[0].1.contains("correctQuestionKey") && told[0].1.contains("`correctKeys`"), "{told:?}");
    assert_eq!(sit(&asha, &card, "56", "Oxygen").await.0, "3.00", "the test has changed");
    // Importing the file again reports the different key again. An edit of the other question's text adds no notice.
    assert_eq!(notices(&world.author.import(&world.subject, &file).await), told);
    let edited = file.replace("Which gas?", "Which of these gases?");
    assert_eq!(world.author.import(&world.subject, &edited).await.counts(), [0, 1, 1, 0]);
    assert_eq!(notices(&world.author.import(&world.subject, &edited).await).len(), 1);
    assert_eq!(world.question("k1").await["fixedTestsWithOtherKey"], 1);

    // The question in the bank has the key 56 already. The correction gives this key to the fixed test, too.
    let corrected = world.correct("k1", json!({ "correctValue": "56" })).await;
    assert_eq!(
        (&corrected["correctedTests"], &corrected["question"]["current"]["number"]),
        (&json!(1), &json!(2))
    );
    let sat = sit(&asha, &card, "56", "Oxygen").await;
    assert_eq!((sat.0.as_str(), sat.1[0].as_str()), ("8.00", "56: There are 56."));
    assert_eq!(notices(&world.author.import(&world.subject, &edited).await), []);
    // An old file does not undo the correction: the import refuses the corrected question, and shows the reason of the
    // correction. The import applies the other edits in the file.
    let before = rows(&app).await;
    let undone = world.author.import(&world.subject, BANK).await;
    assert_eq!(undone.counts(), [0, 1, 0, 1]);
    let refused = &undone.refused[0];
    let reason = &refused.text;
    assert_eq!(refused.external_id.as_deref(), Some("k1"));
    assert!(
        reason.starts_with("Its key was corrected on ")
            && reason.contains("\"The book says so.\"")
            && reason.contains("`correctKeys`"),
        "{refused:?}"
    );
    assert_eq!(notices(&undone), []);
    assert_eq!(world.question("k1").await["current"]["correctValue"], "56");
    assert_ne!(rows(&app).await, before, "the edit of the other question was lost");
    let back = json!({ "dryRun": true, "correctKeys": "It was right." });
    let back = world.author.import(&world.subject, BANK).with(&back).await;
    assert_eq!(back.corrected_count, 1);
    let stems = "SELECT COUNT(*) FROM paper_revisions";
    assert_eq!(app.number(stems).await, 1, "the edit of a text changed a test");
}

async fn an_import_corrects_keys_for_a_reason(app: Arc<TestApp>) {
    let world = World::new(&app).await;
    let nameless = "Which is a metal?\nA. iron\nB. sulphur\nANSWER: B\n";
    assert_eq!(world.author.import(&world.subject, nameless).await.counts(), [1, 0, 0, 0]);
    app.execute("UPDATE subjects SET questions_per_test = 3").await;
    app.services.catalog.reload().await.unwrap();
    let (asha, card) = world.learner(&app, "Asha").await;
    asha.submit_session(&session(&asha.start_session(&card).await), None).await;
    let before = rows(&app).await;
    let right = nameless.replace(": B", ": A");
    let refused = world.author.import(&world.subject, &right).await;
    assert_eq!(refused.counts(), [0, 0, 0, 1]);
    let blank = world.author.import(&world.subject, &right).with(&json!({ "correctKeys": " " })).await;
    assert_eq!(blank.refusal().code, "REASON_INVALID");
    assert_eq!(rows(&app).await, before);

    let reason = json!({ "correctKeys": "Iron is the metal." });
    for (text, corrected) in [(right.as_str(), 1), (right.as_str(), 0), (BANK, 0)] {
        let answer = world.author.import(&world.subject, text).with(&reason).await;
        assert_eq!(answer.corrected_count, corrected, "{text}");
        assert_eq!(notices(&answer), []);
    }
    let both = BANK.replace("#54", "#56").replace("=Oxygen ~Neon", "~Oxygen =Neon");
    let answer = world.author.import(&world.subject, &both).with(&reason).await;
    assert_eq!((answer.counts(), answer.corrected_count), ([0, 2, 0, 0], 2));
    let started = asha.start_session(&card).await;
    let submitted = asha.submit_session(&session(&started), None).await;
    let keys: BTreeSet<String> = slots(&submitted)
        .iter()
        .flat_map(|question| {
            let keys = question.correct_option_ids.as_deref().unwrap_or_default();
            let options = question.options.iter().filter(|option| keys.contains(&option.id));
            options.map(|option| option.text.clone()).chain(question.correct_value.clone())
        })
        .collect();
    assert_eq!(keys, ["56", "Neon", "iron"].map(str::to_owned).into());
    assert_eq!(
        app.number("SELECT revision FROM papers").await,
        3,
        "the paper does not have one revision for each import"
    );
    assert_eq!(app.number("SELECT COUNT(*) FROM question_corrections").await, 3);
}

async fn an_edit_of_options_is_no_other_key(app: Arc<TestApp>) {
    let world = World::new(&app).await;
    let (asha, card) = world.learner(&app, "Asha").await;
    sit(&asha, &card, "54", "Oxygen").await;
    let reason = json!({ "correctKeys": "The book says so." });
    let edited = BANK.replace("=Oxygen", "=Dioxygen");
    let answer = world.author.import(&world.subject, &edited).with(&reason).await;
    assert_eq!((answer.counts(), answer.corrected_count), ([0, 1, 1, 0], 0));
    assert_eq!(world.question("k2").await["fixedTestsWithOtherKey"], 0);
    // The key has changed if an option that was wrong is now correct, in whatever order the options are.
    let other = BANK.replace("{=Oxygen ~Neon", "{=Neon ~Oxigen");
    let answer = world.author.import(&world.subject, &other).with(&reason).await;
    assert_eq!(answer.corrected_count, 1);
    // An import with a reason also gives a changed explanation to the fixed tests.
    let explained = other.replace("It burns.", "It glows.");
    let answer = world.author.import(&world.subject, &explained).with(&reason).await;
    assert_eq!(answer.corrected_count, 1);
    assert_eq!(sit(&asha, &card, "54", "Neon").await.1[1], "Neon: It glows.");
    let again = world.author.import(&world.subject, &explained).with(&reason).await;
    assert_eq!((again.counts(), again.corrected_count), ([0, 0, 2, 0], 0));
}

/// In a file without line breaks, every question is on line 1.
async fn a_refused_question_takes_away_only_its_own_losses(app: Arc<TestApp>) {
    let world = World::new(&app).await;
    assert_eq!(world.correct("k1", json!({ "correctValue": "56" })).await["userErrors"], json!([]));
    let question = |id: &str, name: &str, value: &str| {
        format!(
            "<question type=\"numerical\">{name}<questiontext><text>How many?</text></questiontext>\
             <idnumber>{id}</idnumber><answer fraction=\"100\"><text>{value}</text><tolerance>1</tolerance>\
             <feedback><text>Well counted.</text></feedback></answer></question>"
        )
    };
    let name = "<name><text>Counting</text></name>";
    for (name, counts, kept) in [
        ("", [1, 0, 0, 1], vec![("k3", "feedback for each answer")]),
        // The loss about the names in the whole file stays, although its question is refused.
        (name, [0, 0, 1, 1], vec![("k1", "\"Counting\""), ("k3", "feedback for each answer")]),
    ] {
        let file = format!("<quiz>{}{}</quiz>", question("k1", name, "54"), question("k3", "", "7"));
        let imported = world.author.import(&world.subject, &file).await;
        assert_eq!(imported.counts(), counts, "{imported:#?}");
        assert_eq!(imported.refused[0].external_id.as_deref(), Some("k1"));
        assert_eq!(imported.losses.len(), kept.len(), "{imported:#?}");
        for (loss, (id, text)) in imported.losses.iter().zip(kept) {
            assert!(loss.external_id.as_deref() == Some(id) && loss.text.contains(text), "{imported:#?}");
        }
    }
}
