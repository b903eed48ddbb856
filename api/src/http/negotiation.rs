//! Content negotiation: chooses the representation that a client prefers (RFC 9110, section 12.5).

use axum::http::{HeaderMap, HeaderName};

/// Returns the offer that the header ranks highest, like [`Accepted::best`].
pub(super) fn best<'o>(headers: &HeaderMap, header: &HeaderName, offered: &[&'o str]) -> Option<&'o str> {
    Accepted::by(headers, header).best(offered)
}

/// The entries of a header in which a client names what it accepts, such as `Accept`.
pub(super) struct Accepted<'h>(Vec<MediaRange<'h>>);

impl<'h> Accepted<'h> {
    /// Reads the entries of a header.
    pub(super) fn by(headers: &'h HeaderMap, header: &HeaderName) -> Self {
        Self(ranges(headers, header))
    }

    /// Returns the offer that the header ranks highest, or None if the header accepts no offer. If several offers have
    /// the same rank, returns the offer that the header names first. Without the header, or with only `*/*`, returns
    /// the first offer.
    pub(super) fn best<'o>(&self, offered: &[&'o str]) -> Option<&'o str> {
        let Self(ranges) = self;
        if ranges.is_empty() {
            return offered.first().copied();
        }
        let ranked = offered.iter().enumerate().filter_map(|(order, offer)| {
            let matching = ranges.iter().enumerate().filter_map(|(position, range)| {
                range.specificity(offer).map(|specificity| (specificity, position, range.quality))
            });
            // Of the entries that match an offer, the most specific one decides.
            let (specificity, position, quality) = matching.max_by_key(|(specificity, ..)| *specificity)?;
            let position = if specificity == Specificity::Anything { usize::MAX } else { position };
            (quality > 0).then_some((offer, (std::cmp::Reverse(quality), position, order)))
        });
        ranked.min_by_key(|(_, rank)| *rank).map(|(offer, _)| *offer)
    }

    /// Returns whether the header accepts this representation by its full name. A match with a wildcard does not count.
    pub(super) fn accepts_by_name(&self, offer: &str) -> bool {
        self.0.iter().any(|range| range.quality > 0 && range.specificity(offer) == Some(Specificity::Exact))
    }
}

/// The precision with which an entry of the header names a representation, from the least to the most exact.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Specificity {
    Anything,
    Kind,
    Exact,
}

/// One entry of the header, such as `text/*;q=0.5`.
struct MediaRange<'h> {
    name: &'h str,
    /// The quality in thousandths.
    quality: u16,
}

impl MediaRange<'_> {
    /// Returns how exactly this entry of the header names the representation `offer`. Returns None if the entry does
    /// not match the representation.
    fn specificity(&self, offer: &str) -> Option<Specificity> {
        if self.name.eq_ignore_ascii_case(offer) {
            return Some(Specificity::Exact);
        }
        if self.name == "*/*" || self.name == "*" {
            return Some(Specificity::Anything);
        }
        let kind = self.name.strip_suffix("/*")?;
        let (offered_kind, _) = offer.split_once('/')?;
        kind.eq_ignore_ascii_case(offered_kind).then_some(Specificity::Kind)
    }
}

fn ranges<'h>(headers: &'h HeaderMap, header: &HeaderName) -> Vec<MediaRange<'h>> {
    headers
        .get_all(header)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|range| {
            let mut parts = range.split(';').map(str::trim);
            let name = parts.next().filter(|name| !name.is_empty())?;
            let quality = parts.find_map(quality).unwrap_or(1_000);
            Some(MediaRange { name, quality })
        })
        .collect()
}

/// Reads a parameter such as `q=0.5` in thousandths. Returns None for another parameter, and if the value is not a
/// number.
fn quality(parameter: &str) -> Option<u16> {
    let (name, value) = parameter.split_once('=')?;
    if !name.trim().eq_ignore_ascii_case("q") {
        return None;
    }
    let (whole, fraction) = value.trim().split_once('.').unwrap_or((value.trim(), ""));
    let mut thousandths = whole.parse::<u16>().ok()?.min(1) * 1_000;
    for (digit, weight) in fraction.bytes().zip([100, 10, 1]) {
        thousandths += u16::from(digit.checked_sub(b'0').filter(|digit| *digit < 10)?) * weight;
    }
    Some(thousandths.min(1_000))
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderValue, header::ACCEPT};

    use super::*;

    const RESPONSE: &str = "application/graphql-response+json";
    const JSON: &str = "application/json";

    fn of(accept: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(accept))])
    }

    fn chosen(accept: &'static str) -> Option<&'static str> {
        best(&of(accept), &ACCEPT, &[JSON, RESPONSE])
    }

    #[test]
    fn the_standard_decides_which_offer_is_best() {
        assert_eq!(best(&HeaderMap::new(), &ACCEPT, &[JSON, RESPONSE]), Some(JSON));
        assert_eq!(chosen("*/*"), Some(JSON));
        assert_eq!(chosen("application/*"), Some(JSON));
        assert_eq!(chosen(RESPONSE), Some(RESPONSE));
        assert_eq!(chosen("application/graphql-response+json, application/json"), Some(RESPONSE));
        assert_eq!(chosen("application/json, application/graphql-response+json"), Some(JSON));
        assert_eq!(chosen("application/json;q=0.9, application/graphql-response+json"), Some(RESPONSE));
        assert_eq!(chosen("application/json; charset=utf-8"), Some(JSON));
        assert_eq!(chosen("APPLICATION/JSON;Q=0.001"), Some(JSON));
        assert_eq!(chosen("application/json;q=0, */*"), Some(RESPONSE));
        assert_eq!(chosen("*/*;q=0.1, application/graphql-response+json;q=0.2"), Some(RESPONSE));
        assert_eq!(chosen("text/html"), None);
        assert_eq!(chosen("*/*;q=0.000"), None);
    }

    #[test]
    fn a_wildcard_does_not_accept_by_name() {
        let accepts = |accept, offer| Accepted::by(&of(accept), &ACCEPT).accepts_by_name(offer);
        assert!(accepts("application/json, text/html;q=0.1", "text/html"));
        assert!(!accepts("*/*", JSON));
        assert!(!accepts("application/json;q=0", JSON));
    }
}
