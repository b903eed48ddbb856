//! Makes random questions that are complete and trimmed, as a bank stores them.

use std::collections::HashSet;

use rand::RngExt;
use rand::rngs::StdRng;
use rust_decimal::Decimal;

use crate::comments::without_comments;
use crate::draft::{
    DraftAnswer, DraftDifficulty, DraftOption, DraftQuestion, DraftTextFormat, IdOrigin, OptionOrder,
};
use crate::typed_text::{TextPattern, literal, single_spaced};
use crate::visible::is_blank;

/// Fragments of random texts. Most have a meaning in some format.
const FRAGMENTS: [&str; 54] = [
    "a",
    "word",
    " ",
    " ",
    "\n",
    "\n\n",
    "\t",
    "~",
    "=",
    "#",
    "####",
    "{",
    "}",
    ":",
    "::",
    "\\",
    "\\n",
    "\\\\",
    "%50%",
    "[html]",
    "[plain]",
    "]",
    "[",
    "//",
    "// [id:x]",
    "$CATEGORY: x",
    "->",
    "<",
    ">",
    "&",
    "&amp;",
    "<b>",
    "</div>",
    "<p>x</p>",
    "]]>",
    "\"",
    "'",
    "ANSWER: A",
    "A. x",
    "B) y",
    "<br>",
    "&nbsp;",
    "é",
    "日本",
    "T",
    "@@PLUGINFILE@@",
    "<img alt=\"x>5\">",
    "<!--",
    "-->",
    "<?",
    "</",
    "`",
    "```",
    "\n[//]: # (x)",
];

/// Returns a random text of 1 to `most` fragments, without comments and trimmed, as a bank stores it. The text is not
/// blank in `format`.
fn text(rng: &mut StdRng, most: usize, format: DraftTextFormat) -> String {
    loop {
        let count = rng.random_range(1..=most);
        let text: String = (0..count).map(|_| FRAGMENTS[rng.random_range(0..FRAGMENTS.len())]).collect();
        let text = match format {
            DraftTextFormat::Plain => clean(&text),
            DraftTextFormat::Markdown => clean(&without_comments(&text, true)),
            DraftTextFormat::Html => clean(&without_comments(&text, false)),
        };
        if !is_blank(&text, format) {
            return text;
        }
    }
}

/// Returns a random order of options.
fn any_order(rng: &mut StdRng, count: usize) -> OptionOrder {
    match rng.random_range(0..3) {
        _ if count == 0 => OptionOrder::default(),
        0 => OptionOrder::default(),
        1 => OptionOrder::kept(),
        _ => OptionOrder::shuffled_except((0..count).filter(|_| rng.random()).collect(), count),
    }
}

/// Returns a random name, which has one line.
fn name(rng: &mut StdRng) -> String {
    loop {
        let name = clean(&text(rng, 8, DraftTextFormat::Plain).replace(['\n', '\t'], " "));
        if !name.is_empty() {
            return name;
        }
    }
}

/// Returns a random short answer, as a bank stores it.
fn accepted_texts(rng: &mut StdRng) -> DraftAnswer {
    let is_case_sensitive = rng.random();
    let count = rng.random_range(1..=6);
    let has_wildcards = rng.random_ratio(1, 4);
    let mut seen = HashSet::new();
    let mut texts = Vec::new();
    for number in 0..count {
        let mut text = single_spaced(&text(rng, 5, DraftTextFormat::Plain));
        if rng.random_ratio(1, 2) {
            text = literal(&text);
        }
        if has_wildcards {
            text = format!("{text}*{number}");
        }
        let pattern = TextPattern::new(&text, is_case_sensitive);
        if !pattern.accepts_everything() && seen.insert(pattern) {
            texts.push(text);
        }
    }
    if texts.is_empty() {
        texts.push("Newton".to_owned());
    }
    DraftAnswer::ShortAnswer { texts, is_case_sensitive }
}

pub(super) fn any_question(rng: &mut StdRng, number: usize) -> DraftQuestion {
    let formats = [DraftTextFormat::Plain, DraftTextFormat::Markdown, DraftTextFormat::Html];
    let text_format = formats[rng.random_range(0..3)];
    let options = |rng: &mut StdRng| -> Vec<String> {
        let count = rng.random_range(2..=26);
        let mut options: Vec<String> = (0..count).map(|_| text(rng, 6, text_format)).collect();
        options.sort();
        options.dedup();
        options.push(format!("option {}", options.len()));
        options.push(["last", "All of the above", "Both A and B"][rng.random_range(0..3)].to_owned());
        options.truncate(26);
        options
    };
    let answer = match rng.random_range(0..4) {
        0 => {
            let options = options(rng);
            let key = rng.random_range(0..options.len());
            let option = |(at, text)| DraftOption { text, correct: at == key };
            DraftAnswer::Single(options.into_iter().enumerate().map(option).collect())
        }
        1 => {
            let options = options(rng);
            let key = rng.random_range(0..options.len());
            let mut option = |(at, text)| DraftOption { text, correct: at == key || rng.random() };
            DraftAnswer::Multiple(options.into_iter().enumerate().map(&mut option).collect())
        }
        2 => accepted_texts(rng),
        _ => DraftAnswer::Numeric {
            value: Decimal::new(rng.random_range(-1_000_000..1_000_000), rng.random_range(0..20)).normalize(),
            tolerance: Decimal::new(rng.random_range(0..1_000), rng.random_range(0..20)).normalize(),
        },
    };
    let difficulties = [DraftDifficulty::Easy, DraftDifficulty::Medium, DraftDifficulty::Hard];
    DraftQuestion {
        line: 0,
        external_id: clean(&format!("{number} {}", name(rng))),
        id_origin: IdOrigin::Given,
        topic: name(rng),
        difficulty: difficulties[rng.random_range(0..3)],
        text_format,
        stem: text(rng, 12, text_format),
        option_order: any_order(rng, answer.options().len()),
        answer,
        explanation: rng.random::<bool>().then(|| text(rng, 8, text_format)),
        pictures: Vec::new(),
    }
}

/// Trims a text, as an import does before it stores it.
pub(super) fn clean(text: &str) -> String {
    text.trim().to_owned()
}
