//! Compares the responses to two submissions of one sitting.

use jishu_tests::KEY_FIELDS;
use serde_json::Value;

/// Returns whether the response to a repeated submission contradicts the first response. Both responses must be equal,
/// with one exception.
///
/// The server withholds the key of a question while the learner has another open sitting with that question. That
/// sitting may end between the two submissions, so a key that was withheld at first may be shown later.
pub(super) fn contradicts(first: &Value, again: &Value) -> bool {
    let (questions, asked_again) = (questions(first), questions(again));
    without_keys(first) != without_keys(again)
        || questions.iter().zip(asked_again).any(|(first, again)| {
            let (first, again) = (key(first), key(again));
            first != again && !first.iter().all(Value::is_null)
        })
}

fn questions(session: &Value) -> &[Value] {
    session["questions"].as_array().map_or(&[], Vec::as_slice)
}

fn key(question: &Value) -> [Value; KEY_FIELDS.len()] {
    KEY_FIELDS.map(|field| question[field].clone())
}

fn without_keys(session: &Value) -> Value {
    let mut session = session.clone();
    for question in session["questions"].as_array_mut().into_iter().flatten() {
        for field in KEY_FIELDS {
            question.as_object_mut().and_then(|question| question.remove(field));
        }
    }
    session
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::contradicts;

    fn session(score: &str, correct_value: Option<&str>, marks: Option<&str>) -> Value {
        let question = json!({ "slot": 1, "correctOptionIds": null, "correctValue": correct_value, "tolerance": null,
                               "explanation": null, "marks": marks });
        json!({ "id": "sitting", "questions": [question], "result": { "score": score } })
    }

    #[test]
    fn a_key_may_be_withheld_at_first() {
        let (withheld, shown) = (session("4.00", None, None), session("4.00", Some("1.5"), Some("4.00")));
        assert!(!contradicts(&withheld, &withheld));
        assert!(!contradicts(&shown, &shown));
        assert!(!contradicts(&withheld, &shown));
        assert!(
            contradicts(&shown, &withheld),
            "the check misses that the key and the marks are withheld later"
        );
    }

    #[test]
    fn all_else_must_be_equal() {
        let first = session("4.00", None, None);
        assert!(contradicts(&first, &session("3.00", None, None)), "the check misses another score");
        assert!(
            contradicts(&first, &Value::Null),
            "the check misses that the second response has no sitting"
        );
        let shown = session("4.00", Some("1.5"), Some("4.00"));
        assert!(
            contradicts(&shown, &session("4.00", Some("2.5"), Some("4.00"))),
            "the check misses another key"
        );
        assert!(
            contradicts(&shown, &session("4.00", Some("1.5"), Some("-1.00"))),
            "the check misses other marks"
        );
    }
}
