//! The client that begins or continues a session: its network address and its program.

use std::fmt;

use crate::limit::ClientAddress;

/// The client that begins or continues a session.
#[derive(Clone, Copy, Debug)]
pub struct SignInClient {
    /// The network address of the client.
    pub address: ClientAddress,
    /// The program and the system that the `User-Agent` header names. None if the header is missing, or names no known
    /// program and no known system.
    pub program: Option<ClientProgram>,
}

impl From<ClientAddress> for SignInClient {
    /// Makes a client whose program is unknown.
    fn from(address: ClientAddress) -> Self {
        Self { address, program: None }
    }
}

/// A program and its operating system, recognised from a `User-Agent` header. People recognise their devices by it.
///
/// The whole header is never stored: it can identify a person, and a client can write anything into it. No library
/// parses the header, because such libraries have a thousand regular expressions, for models and versions that nobody
/// needs here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientProgram {
    program: Option<&'static str>,
    system: Option<&'static str>,
}

/// The known programs, each with a part of its `User-Agent` header and a name for people. The first match counts: the
/// header of nearly every browser also names other browsers.
const PROGRAMS: [(&str, &str); 15] = [
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("UCBrowser/", "UC Browser"),
    ("YaBrowser/", "Yandex Browser"),
    ("Vivaldi/", "Vivaldi"),
    ("FxiOS/", "Firefox"),
    ("Firefox/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
    ("okhttp/", "an Android app"),
    ("Dart/", "an app"),
    ("CFNetwork/", "an Apple app"),
    ("curl/", "curl"),
];

/// The known systems, each with a part of the `User-Agent` header and a name for people. The first match counts: an
/// Android header also names Linux, and the header of an iPhone names Mac OS X.
const SYSTEMS: [(&str, &str); 8] = [
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("CrOS", "ChromeOS"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("Macintosh", "macOS"),
    ("Linux", "Linux"),
];

impl ClientProgram {
    /// Recognises the program and the system of a `User-Agent` header. Returns None if it recognises neither.
    #[must_use]
    pub fn of_user_agent(header: &str) -> Option<Self> {
        let find = |table: &[(&str, &'static str)]| {
            table.iter().find(|(part, _)| header.contains(part)).map(|(_, name)| *name)
        };
        let (program, system) = (find(&PROGRAMS), find(&SYSTEMS));
        (program.is_some() || system.is_some()).then_some(Self { program, system })
    }
}

impl fmt::Display for ClientProgram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.program, self.system) {
            (Some(program), Some(system)) => write!(f, "{program} on {system}"),
            (Some(name), None) | (None, Some(name)) => f.write_str(name),
            (None, None) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(header: &str) -> Option<String> {
        ClientProgram::of_user_agent(header).map(|program| program.to_string())
    }

    #[test]
    fn common_programs_are_recognised() {
        let webkit = "AppleWebKit/537.36 (KHTML, like Gecko)";
        for (header, expected) in [
            (format!("Mozilla/5.0 (Windows NT 10.0; Win64; x64) {webkit} Chrome/139.0 Safari/537.36"), "Chrome on Windows"),
            (format!("Mozilla/5.0 (Windows NT 10.0) {webkit} Chrome/139.0 Safari/537.36 Edg/139.0"), "Edge on Windows"),
            (format!("Mozilla/5.0 (Linux; Android 15; SM-S911B) {webkit} Chrome/139.0 Mobile Safari/537.36"), "Chrome on Android"),
            ("Mozilla/5.0 (X11; Linux x86_64; rv:141.0) Gecko/20100101 Firefox/141.0".to_owned(), "Firefox on Linux"),
            ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 Version/18.5 Safari/604.1".to_owned(), "Safari on iPhone"),
            ("okhttp/4.12.0".to_owned(), "an Android app"),
        ] {
            assert_eq!(name(&header).as_deref(), Some(expected), "{header}");
        }
        for unknown in ["", "x", "<script>alert(1)</script>"] {
            assert_eq!(name(unknown), None, "{unknown}");
        }
    }
}
