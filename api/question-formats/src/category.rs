//! Converts topics to and from paths of categories in Moodle, such as `$course$/top/Physics/Optics`. In a path, `//`
//! stands for a slash in a name.

use crate::labels::excerpt;
use crate::parsed::ParsedQuestion;

/// Returns the path of the category for a topic, in which each slash of the topic is doubled.
pub(crate) fn path(topic: &str) -> String {
    format!("$course$/top/{}", topic.replace('/', "//"))
}

/// The maximum number of characters of a topic that is read from a file.
pub const MAX_TOPIC_CHARS: usize = 200;

/// The topic of the questions below a category.
#[derive(Debug, Default)]
pub(crate) struct Category {
    topic: Option<String>,
    /// The loss for a shortened topic. `None` if the topic is whole, or if a question already has the loss.
    loss: Option<String>,
}

impl Category {
    /// Reads the path of a category. Shortens its topic if it is too long.
    pub(crate) fn new(path: &str) -> Self {
        let Some(topic) = topic(path) else { return Self::default() };
        let short = shortened(&topic);
        Self { loss: shortening_loss(&topic, &short), topic: Some(short) }
    }

    /// Sets the topic of a question. The first question of the category also gets the loss for a shortened topic.
    pub(crate) fn apply(&mut self, question: &mut ParsedQuestion) {
        question.topic.clone_from(&self.topic);
        question.losses.extend(self.loss.take());
    }
}

/// Shortens the topic of a question if it is too long, and adds a loss. Formats in which each question states its own
/// topic need this function.
pub(crate) fn shorten_topic(question: &mut ParsedQuestion) {
    if let Some(topic) = &mut question.topic {
        let short = shortened(topic);
        question.losses.extend(shortening_loss(topic, &short));
        *topic = short;
    }
}

fn shortening_loss(topic: &str, short: &str) -> Option<String> {
    (short != topic).then(|| {
        format!(
            "Its topic \"{}\" is shortened to \"{}\", because it has more than {MAX_TOPIC_CHARS} characters.",
            excerpt(topic),
            excerpt(short)
        )
    })
}

/// Shortens a topic to the maximum length: drops names at the beginning of its path. If the last name alone is too
/// long, cuts off the end of this name.
fn shortened(topic: &str) -> String {
    let is_short = |topic: &str| topic.chars().count() <= MAX_TOPIC_CHARS;
    let mut rest = topic;
    while !is_short(rest)
        && let Some((_, below)) = rest.split_once('/')
        && !below.trim().is_empty()
    {
        rest = below.trim_start();
    }
    if is_short(rest) {
        return rest.to_owned();
    }
    let kept: String = rest.chars().take(MAX_TOPIC_CHARS - 1).collect();
    format!("{}…", kept.trim_end())
}

/// Returns the topic of a path: the names below `top`, joined with slashes. Returns `None` if no name is below `top`.
pub(crate) fn topic(path: &str) -> Option<String> {
    let mut names = vec![String::new()];
    let mut chars = path.trim().chars().peekable();
    while let Some(char) = chars.next() {
        match (char, names.last_mut()) {
            ('/', Some(name)) if chars.peek() == Some(&'/') => {
                chars.next();
                name.push('/');
            }
            ('/', _) => names.push(String::new()),
            (char, Some(name)) => name.push(char),
            (_, None) => {}
        }
    }
    let is_context = |name: &String| name.len() > 1 && name.starts_with('$') && name.ends_with('$');
    let mut below = names.as_slice();
    if let [first, rest @ ..] = below
        && is_context(first)
    {
        below = rest;
    }
    if let [first, rest @ ..] = below
        && first == "top"
    {
        below = rest;
    }
    let names: Vec<&str> = below.iter().map(|name| name.trim()).filter(|name| !name.is_empty()).collect();
    let topic = names.join("/");
    (!topic.is_empty()).then_some(topic)
}

/// Returns a loss if the name of a topic is not the same after it is written as a path and read again.
pub(crate) fn loss(name: &str) -> Option<String> {
    (topic(&path(name)).as_deref() != Some(name)).then(|| {
        "The topic's name is changed: in the file, the name of a category cannot begin with a slash."
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_category_gives_the_topic() {
        for (written, read) in [
            ("$course$/top/Mechanics", Some("Mechanics")),
            ("$course$/top/Physics/Mechanics", Some("Physics/Mechanics")),
            ("$system$/top/Default for System", Some("Default for System")),
            ("$cat1$/Inter//Intra", Some("Inter/Intra")),
            ("Optics", Some("Optics")),
            (" top / Optics ", Some("top/Optics")),
            ("$course$/top/", None),
            ("$course$", None),
            ("", None),
        ] {
            assert_eq!(topic(written).as_deref(), read, "{written}");
        }
        for name in ["Optics", "Inter/Intra", "a // b", "$x$", "top", "Ünïcode"] {
            assert_eq!((topic(&path(name)).as_deref(), loss(name)), (Some(name), None));
        }
        let long = format!("$course$/top/{}/Optics", "x".repeat(150) + "/" + &"é".repeat(60));
        assert_eq!(
            Category::new(&long).topic.as_deref(),
            Some(format!("{}/Optics", "é".repeat(60)).as_str())
        );
        let name = Category::new(&"ü".repeat(300));
        assert_eq!(name.topic.as_deref(), Some(format!("{}…", "ü".repeat(199)).as_str()));
        assert!(name.loss.is_some_and(|loss| loss.contains("shortened")));
        let whole = Category::new(&"ü".repeat(200));
        assert_eq!((whole.topic.map(|topic| topic.chars().count()), whole.loss), (Some(200), None));
        for name in ["/edge", "/", "/ edge"] {
            assert!(topic(&path(name)).as_deref() != Some(name) && loss(name).is_some(), "{name}");
        }
    }
}
