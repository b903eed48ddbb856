//! Which of several representations a client wants: RFC 9110, 12.5.

use axum::http::{HeaderMap, HeaderName};

/// The one of `offered` that the header ranks highest; between equals the one that it names first. Without such a
/// header, and where it names everything, the first that is offered. None when it admits none of them.
pub(super) fn best<'o>(headers: &HeaderMap, header: &HeaderName, offered: &[&'o str]) -> Option<&'o str> {
    let ranges = ranges(headers, header);
    if ranges.is_empty() {
        return offered.first().copied();
    }
    let ranked = offered.iter().enumerate().filter_map(|(order, offer)| {
        let matching = ranges.iter().enumerate().filter_map(|(place, range)| {
            range.specificity(offer).map(|specificity| (specificity, place, range.quality))
        });
        // The most specific range decides.
        let (specificity, place, quality) = matching.max_by_key(|(specificity, ..)| *specificity)?;
        let place = if specificity == Specificity::Anything { usize::MAX } else { place };
        (quality > 0).then_some((offer, (std::cmp::Reverse(quality), place, order)))
    });
    ranked.min_by_key(|(_, rank)| *rank).map(|(offer, _)| *offer)
}

/// Whether the header names this representation itself, not only by a wildcard.
pub(super) fn names(headers: &HeaderMap, header: &HeaderName, offer: &str) -> bool {
    ranges(headers, header)
        .iter()
        .any(|range| range.quality > 0 && range.specificity(offer) == Some(Specificity::Exact))
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Specificity {
    Anything,
    Kind,
    Exact,
}

struct Range<'h> {
    name: &'h str,
    /// In thousandths.
    quality: u16,
}

impl Range<'_> {
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

fn ranges<'h>(headers: &'h HeaderMap, header: &HeaderName) -> Vec<Range<'h>> {
    headers
        .get_all(header)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|range| {
            let mut parts = range.split(';').map(str::trim);
            let name = parts.next().filter(|name| !name.is_empty())?;
            let quality = parts.find_map(quality).unwrap_or(1_000);
            Some(Range { name, quality })
        })
        .collect()
}

/// `q=0.5` as thousandths. One that is no number does not count.
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
    fn the_header_is_read_as_the_standard_says() {
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
    fn a_wildcard_names_nothing() {
        assert!(names(&of("application/json, text/html;q=0.1"), &ACCEPT, "text/html"));
        assert!(!names(&of("*/*"), &ACCEPT, JSON));
        assert!(!names(&of("application/json;q=0"), &ACCEPT, JSON));
    }
}
