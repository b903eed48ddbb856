//! Topics as the categories of Moodle's question banks: `$course$/top/Physics/Optics`, in which `//` stands for a slash
//! of a name.

/// The path of a topic.
pub(crate) fn path(topic: &str) -> String {
    format!("$course$/top/{}", topic.replace('/', "//"))
}

/// The topic of a path: what is below the top, as one name. None when that is nothing.
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

/// What is lost of a topic's name, if something is.
pub(crate) fn loss(name: &str) -> Option<String> {
    (topic(&path(name)).as_deref() != Some(name)).then(|| {
        "The topic's name is changed: a category cannot have a slash at an end of its name, or beside a blank."
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_category_is_a_topic() {
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
        for name in ["/edge", "/", "/ edge"] {
            assert!(topic(&path(name)).as_deref() != Some(name) && loss(name).is_some(), "{name}");
        }
    }
}
