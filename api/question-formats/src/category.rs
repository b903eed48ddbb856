//! Topics as paths of categories in Moodle, such as `$course$/top/Physics/Optics`. In a path, `//` stands for a slash in a
//! name.

/// Returns the path of a topic.
pub(crate) fn path(topic: &str) -> String {
    format!("$course$/top/{}", topic.replace('/', "//"))
}

/// Returns the topic of a path: the names below `top`, joined with slashes. Returns `None` if there are no such names.
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

/// Returns a loss if the name of a topic does not survive as a path.
pub(crate) fn loss(name: &str) -> Option<String> {
    (topic(&path(name)).as_deref() != Some(name)).then(|| {
        "The topic's name is changed: a category cannot have a slash at the start or end of its name, or next to a space."
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
        for name in ["/edge", "/", "/ edge"] {
            assert!(topic(&path(name)).as_deref() != Some(name) && loss(name).is_some(), "{name}");
        }
    }
}
