//! Makes random documents for the schema of the tests of plain fields.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

/// An object type of the schema and its fields. Each field has the text that selects it, and the type of its value if
/// the value is an object.
type TypeFields = (&'static str, &'static [(&'static str, Option<&'static str>)]);

const FIELDS: [TypeFields; 5] = [
    (
        "Shelf",
        &[
            ("books", Some("Book")),
            ("books", Some("Book")),
            ("noBooks", Some("Book")),
            ("one", Some("Book")),
            ("none", Some("Book")),
            ("named", Some("Named")),
            ("fails", Some("Book")),
        ],
    ),
    (
        "Book",
        &[
            ("id", None),
            ("title", None),
            ("name", None),
            ("type", None),
            ("big", None),
            ("small", None),
            ("price", None),
            ("days", None),
            ("inStock", None),
            ("authors", Some("Author")),
            ("firstAuthor", Some("Author")),
            ("sequels", Some("Book")),
            ("firstIfKnown", Some("Author")),
            ("editor", Some("Author")),
            ("publisher", Some("Publisher")),
            ("stockFor", None),
            ("short(length: 3)", None),
            ("waits", None),
            ("fails", None),
        ],
    ),
    ("Author", &[("name", None), ("yearOfBirth", None), ("city", None), ("postalCode2", None)]),
    ("Publisher", &[("name", None), ("books", Some("Book"))]),
    ("Named", &[("name", None)]),
];

/// The number of plain fields of a book. They are the first fields of `Book` in `FIELDS`.
const PLAIN_FIELDS_OF_BOOK: usize = 14;

/// A generator of random documents. The same seed gives the same documents.
pub(super) struct Documents {
    random: StdRng,
    aliases: u32,
}

impl Documents {
    pub(super) fn new(seed: u64) -> Self {
        Self { random: StdRng::seed_from_u64(seed), aliases: 0 }
    }

    /// Makes a document with the variables `$yes` and `$no`.
    pub(super) fn document(&mut self) -> String {
        // Most documents select no other fields of books than plain fields.
        let only_plain = self.random.random_bool(0.7);
        let shelf = self.selection("Shelf", 3, only_plain);
        format!(
            "query ($yes: Boolean!, $no: Boolean!) {{ shelf {{ {shelf} ...S @include(if: $yes) ...S @skip(if: $no) }} }} \
             fragment S on Shelf {{ __typename one {{ ...B }} }} fragment B on Book {{ id authors {{ name ... on Named {{ name }} }} }}"
        )
    }

    fn selection(&mut self, of: &str, depth: u32, only_plain: bool) -> String {
        let fields = FIELDS.iter().find(|(name, _)| *name == of).unwrap().1;
        let fields = if only_plain && of == "Book" { &fields[..PLAIN_FIELDS_OF_BOOK] } else { fields };
        let mut selection = vec!["__typename".to_owned()];
        for _ in 0..self.random.random_range(1..6) {
            let (field, below) = fields.choose(&mut self.random).unwrap();
            let field = match below {
                Some(_) if depth == 0 => continue,
                Some(below) => format!("{field} {{ {} }}", self.selection(below, depth - 1, only_plain)),
                None => (*field).to_owned(),
            };
            let field = if self.random.random_bool(0.3) {
                self.aliases += 1;
                format!("a{}: {field}", self.aliases)
            } else {
                field
            };
            selection.push(match self.random.random_range(0..8) {
                0 => format!("... on {of} {{ {field} }}"),
                1 => format!("... @include(if: $yes) {{ {field} }}"),
                2 => format!("... @skip(if: $yes) {{ {field} }}"),
                _ => field,
            });
        }
        if of == "Book" && self.random.random_bool(0.2) {
            selection.push("...B".to_owned());
        }
        if self.random.random_bool(0.5) {
            selection.remove(0);
        }
        if selection.is_empty() {
            selection.push("__typename".to_owned());
        }
        selection.join(" ")
    }
}
