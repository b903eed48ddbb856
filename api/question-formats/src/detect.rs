//! Recognises the format of a text.

use crate::format::Format;
use crate::{aiken, fence, gift, kind, xml};

impl Format {
    /// Guesses the format of a text. Returns `None` if the text does not look like any of the formats. Then
    /// [`explain_unknown`] may name the kind of the file.
    ///
    /// [`explain_unknown`]: crate::explain_unknown
    #[must_use]
    pub fn detect(text: &str) -> Option<Self> {
        let text = fence::stripped(text);
        let text = text.trim_start_matches('\u{feff}').trim_start();
        // A text in GIFT or Aiken can begin with an HTML tag, so `<` alone does not decide.
        if let Some(format) = text.starts_with('<').then(|| xml::detect(text)).flatten() {
            return Some(format);
        }
        if kind::of_text(text).is_some() {
            return None;
        }
        if aiken::looks_like(text) {
            return Some(Self::Aiken);
        }
        if gift::looks_like(text) {
            return Some(Self::Gift);
        }
        // The Aiken reader will refuse this text with advice on how to write the key.
        aiken::looks_nearly_like(text).then_some(Self::Aiken)
    }
}
