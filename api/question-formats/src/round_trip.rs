//! Tests that a question that is written and read again is the same, except for the losses that the writer lists.

mod questions;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::draft::{DraftAnswer, DraftDifficulty, DraftQuestion, DraftTextFormat, IdOrigin};
use crate::format::Format;
use crate::order;
use crate::parsed::ParsedQuestion;
use crate::xhtml::as_xml;
use crate::{FileWriter, read};
use questions::{any_question, clean};

const FORMATS: [Format; 4] = [Format::Gift, Format::Aiken, Format::MoodleXml, Format::Qti];

/// The topic of a question to which its file gives none.
const DEFAULT_TOPIC: &str = "General";
/// The difficulty of a question to which its file gives none.
const DEFAULT_DIFFICULTY: DraftDifficulty = DraftDifficulty::Medium;

/// Completes a question that was read from a file, as an import does: trims its texts, and adds missing values.
pub(crate) fn complete(parsed: ParsedQuestion) -> DraftQuestion {
    let ParsedQuestion { mut answer, .. } = parsed;
    if let DraftAnswer::Single(options) | DraftAnswer::Multiple(options) = &mut answer {
        options.iter_mut().for_each(|option| option.text = clean(&option.text));
    }
    let stem = clean(&parsed.stem);
    let (external_id, id_origin) = match parsed.external_id {
        Some(id) => (clean(&id), IdOrigin::Given),
        None => (parsed.derived_id, IdOrigin::Derived { earlier: parsed.earlier_derived_id }),
    };
    DraftQuestion {
        line: parsed.line,
        external_id,
        id_origin,
        topic: parsed.topic.map_or(DEFAULT_TOPIC.to_owned(), |topic| clean(&topic)),
        difficulty: parsed.difficulty.unwrap_or(DEFAULT_DIFFICULTY),
        text_format: parsed.text_format,
        stem,
        answer,
        option_order: parsed.option_order,
        explanation: parsed.explanation.as_deref().map(clean).filter(|text| !text.is_empty()),
        pictures: parsed.pictures,
    }
}

/// Changes a question as the losses of its writer say. Returns `None` if the losses say that the question is left out.
fn without_losses(format: Format, question: &DraftQuestion, losses: &[String]) -> Option<DraftQuestion> {
    let mut left = question.clone();
    let told = |part: &str| losses.iter().any(|loss| loss.contains(part));
    if told("This question is left out") {
        return None;
    }
    if format == Format::Aiken {
        left.topic = DEFAULT_TOPIC.to_owned();
        left.difficulty = DEFAULT_DIFFICULTY;
        if told("its explanation") {
            left.explanation = None;
        }
        if told("its text format") {
            left.text_format = DraftTextFormat::Plain;
        }
        if told("the order of its options") {
            let options: Vec<_> = left.answer.options().iter().map(|option| option.text.clone()).collect();
            left.option_order = order::assumed_order(&options, DraftTextFormat::Plain);
        }
        if told("the line breaks") {
            let on_a_line = |text: &str| {
                text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
            };
            left.stem = on_a_line(&left.stem);
            if let DraftAnswer::Single(options) = &mut left.answer {
                options.iter_mut().for_each(|option| option.text = on_a_line(&option.text));
            }
        }
    }
    if told("is rewritten as XML") {
        let rewrite = |text: &mut String| {
            let xml = as_xml(text).expect("it was written").into_owned();
            let values = |text: &str| text.matches("alt=\"x>5\"").count();
            assert_eq!(values(&xml), values(text), "{xml}");
            *text = xml;
        };
        rewrite(&mut left.stem);
        left.explanation.iter_mut().for_each(rewrite);
        if let DraftAnswer::Single(options) | DraftAnswer::Multiple(options) = &mut left.answer {
            options.iter_mut().for_each(|option| rewrite(&mut option.text));
        }
    }
    if told("does not allow its HTML") {
        left.text_format = DraftTextFormat::Plain;
    }
    Some(left)
}

#[test]
fn a_question_comes_back_with_no_other_loss_than_the_listed_ones() {
    for seed in 0..1_000 {
        let mut rng = StdRng::seed_from_u64(seed);
        let question = any_question(&mut rng, 7);
        for format in FORMATS {
            let mut writer = FileWriter::new(format);
            let losses = writer.write(&question);
            let text = writer.finish();
            let Some(left) = without_losses(format, &question, &losses) else {
                assert!(
                    read(format, &text).is_ok_and(|parsed| parsed.questions.is_empty())
                        || format == Format::Qti
                );
                continue;
            };
            let parsed = read(format, &text).unwrap_or_else(|error| panic!("{error:?}\n{text}"));
            assert_eq!(parsed.refused, [], "{format:?} seed {seed}\n{text}");
            assert_eq!(parsed.questions.len(), 1, "{format:?} seed {seed}\n{text}");
            for found in parsed.questions {
                // The reader may report only these losses: a random text can look like the address of a file, and an
                // option can point at other options.
                let told =
                    ["is left out: the text is plain", "keep their order", "are shuffled as the file says"];
                let is_expected = |loss: &String| told.iter().any(|told| loss.contains(told));
                let unexpected = found.losses.iter().find(|loss| !is_expected(loss));
                assert_eq!(unexpected, None, "{format:?} seed {seed}\n{text}");
                let mut again = complete(found);
                again.line = 0;
                if format == Format::Aiken {
                    assert!(again.external_id.starts_with("auto-"));
                    again.external_id.clone_from(&left.external_id);
                    again.id_origin.clone_from(&left.id_origin);
                }
                if losses.iter().any(|loss| loss.contains("topic's name")) {
                    again.topic.clone_from(&left.topic);
                }
                assert_eq!(again, left, "{format:?} seed {seed}\n{text}");
            }
        }
    }
}

#[test]
fn questions_of_several_topics_follow_one_another() {
    let mut rng = StdRng::seed_from_u64(1);
    let questions: Vec<DraftQuestion> = (0..40).map(|number| any_question(&mut rng, number)).collect();
    for format in [Format::Gift, Format::MoodleXml, Format::Qti] {
        let mut writer = FileWriter::new(format);
        questions.iter().for_each(|question| drop(writer.write(question)));
        let text = writer.finish();
        assert_eq!(Format::detect(&text), Some(format));
        let parsed = read(format, &text).expect("a document");
        let is_written = |question: &&DraftQuestion| {
            let losses = FileWriter::new(format).write(question);
            !losses.iter().any(|loss| loss.contains("This question is left out"))
        };
        let ids: Vec<_> = parsed.questions.iter().filter_map(|found| found.external_id.as_deref()).collect();
        let written: Vec<_> =
            questions.iter().filter(is_written).map(|question| question.external_id.as_str()).collect();
        assert_eq!(ids, written, "{format:?}");
    }
}

/// Returns whether the writer of a format reports no loss for a question.
fn is_kept_by(format: Format, question: &DraftQuestion) -> bool {
    FileWriter::new(format).write(question).is_empty()
}

/// Writes a bank of 600 questions in one format after another. Reads the bank again each time, and checks that it is
/// the same.
#[test]
fn a_bank_is_the_same_after_all_formats() {
    let seed = 20_261_129;
    println!("seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let formats = [Format::Gift, Format::MoodleXml, Format::Qti];
    let mut bank = Vec::new();
    let mut kinds = [0; 4];
    for number in 0.. {
        let question = any_question(&mut rng, number);
        if formats.iter().all(|format| is_kept_by(*format, &question)) {
            kinds[match question.answer {
                DraftAnswer::Single(_) => 0,
                DraftAnswer::Multiple(_) => 1,
                DraftAnswer::Numeric { .. } => 2,
                DraftAnswer::ShortAnswer { .. } => 3,
            }] += 1;
            bank.push(question);
        }
        if bank.len() == 600 {
            break;
        }
    }
    assert!(kinds.iter().all(|count| *count > 50), "{kinds:?}");
    let hashes: Vec<String> = bank.iter().map(DraftQuestion::content_hash).collect();
    let mut last = bank.clone();
    for format in [Format::Gift, Format::Qti, Format::MoodleXml, Format::Qti, Format::Gift, Format::MoodleXml]
    {
        let mut writer = FileWriter::new(format);
        for question in &last {
            assert_eq!(writer.write(question), [""; 0], "{format:?} seed {seed}");
        }
        let text = writer.finish();
        let parsed = read(format, &text).unwrap_or_else(|error| panic!("{error:?}"));
        assert_eq!(parsed.refused, [], "{format:?} seed {seed}");
        last =
            parsed.questions.into_iter().map(|found| DraftQuestion { line: 0, ..complete(found) }).collect();
        assert_eq!(last.len(), bank.len(), "{format:?} seed {seed}");
        for (was, is) in bank.iter().zip(&last) {
            assert_eq!(is, was, "{format:?} seed {seed}");
        }
        assert!(
            last.iter().map(DraftQuestion::content_hash).eq(hashes.iter().cloned()),
            "{format:?} seed {seed}"
        );
    }
}

/// Reads files that end anywhere and have wrong characters anywhere. No file may crash a reader.
#[test]
fn no_file_crashes_a_reader() {
    let mut rng = StdRng::seed_from_u64(2);
    let mut whole = Vec::new();
    for format in FORMATS {
        let mut writer = FileWriter::new(format);
        for number in 0..6 {
            let _ = writer.write(&any_question(&mut rng, number));
        }
        whole.push((format, writer.finish()));
    }
    for _ in 0..2_000 {
        for (format, text) in &whole {
            let mut chars: Vec<char> = text.chars().collect();
            chars.truncate(rng.random_range(0..=chars.len()));
            for _ in 0..rng.random_range(0..4) {
                if !chars.is_empty() {
                    let at = rng.random_range(0..chars.len());
                    chars[at] = ['{', '}', '=', '~', '#', '\\', '<', '>', '\n', ':', '%', '"', '\0']
                        [rng.random_range(0..13)];
                }
            }
            let text: String = chars.into_iter().collect();
            let _ = (Format::detect(&text), crate::explain_unknown(text.as_bytes()));
            if let Ok(parsed) = read(*format, &text) {
                for found in parsed.questions {
                    let _ = complete(found);
                }
            }
        }
    }
    for format in FORMATS {
        for line in
            ["a", "{", "=", "~", "\\", "<a>", ":", "[", "A. x\n", "%", "<a b='", "&lt;", "// [id:x\n", "é"]
        {
            let _ = read(format, &line.repeat(10_000_000 / line.len() / 10));
        }
    }
}
