//! The digest of a purchase request. It shows whether a request with a repeated idempotency key is the same request.

use jishu_entity::purchase::PurchaseType;

use super::PurchaseRequest;
use crate::digest::sha256_hex;

/// The prefix of a digest, with the version of the encoding of requests. If the encoding changes, the prefix must
/// change.
const VERSION_PREFIX: &str = "2:";
/// Number of hexadecimal digits of a digest after [`VERSION_PREFIX`]. The digits are 248 bits of SHA-256, and fit in
/// the column of 64 characters together with the prefix.
const HEX_DIGITS: usize = 62;

/// The digest of a request without its idempotency key.
#[derive(Clone, Debug)]
pub(crate) struct RequestHash {
    current: String,
    /// The digest of the same request, in the form that servers stored before digests had a prefix with a version.
    unversioned: String,
}

impl RequestHash {
    /// Computes the digest of a purchase request in both forms: with a version, and unversioned as older servers stored
    /// it.
    pub(crate) fn of(request: &PurchaseRequest) -> Self {
        let mut current = sha256_hex(&encode(request));
        current.truncate(HEX_DIGITS);
        Self {
            current: format!("{VERSION_PREFIX}{current}"),
            unversioned: sha256_hex(&encode_unversioned(request)),
        }
    }

    /// Computes the digest of a request for a complimentary purchase. It differs from the digest of a paid purchase of
    /// the same subjects, so neither request counts as a repetition of the other.
    pub(super) fn of_grant(request: &PurchaseRequest, reason: &str) -> Self {
        let mut current = sha256_hex(&format!("{}grant={reason}\n", encode(request)));
        current.truncate(HEX_DIGITS);
        // Servers that stored digests without a version had no complimentary purchases, so there is nothing to compare
        // with.
        Self { current: format!("{VERSION_PREFIX}{current}"), unversioned: String::new() }
    }

    /// Returns the digest in the form with a version. New requests are stored with this form.
    pub(crate) fn as_str(&self) -> &str {
        &self.current
    }

    /// Tells whether a stored digest, with or without a version, is a digest of this request.
    pub(crate) fn is(&self, stored: &str) -> bool {
        match stored.starts_with(VERSION_PREFIX) {
            true => stored == self.current,
            false => stored == self.unversioned,
        }
    }
}

/// Encodes a request as lines of `name=value`, for the digest. The encoding does not depend on the order of the
/// subjects or on trailing zeros of the cost.
fn encode(request: &PurchaseRequest) -> String {
    let selection = &request.selection;
    let ids: Vec<String> = sorted_ids(request).iter().map(i64::to_string).collect();
    let cost = request.cost.map_or_else(String::new, |cost| cost.normalize().to_string());
    format!(
        "type={}\ncourse={}\nsubjects={}\ncost={cost}\n",
        type_name(selection.purchase_type),
        selection.course_id,
        ids.join(","),
    )
}

/// Encodes a request as servers did before digests had a version. This encoding must never change, because stored
/// digests are compared with the digest of this encoding.
fn encode_unversioned(request: &PurchaseRequest) -> String {
    let selection = &request.selection;
    let ids: Vec<String> = sorted_ids(request).iter().map(i64::to_string).collect();
    let cost = match request.cost {
        Some(cost) => format!("Some(\"{}\")", cost.normalize()),
        None => "None".to_owned(),
    };
    format!("{}|{}|[{}]|{cost}", type_name(selection.purchase_type), selection.course_id, ids.join(", "))
}

/// Returns the ids of the requested subjects in ascending order.
fn sorted_ids(request: &PurchaseRequest) -> Vec<i64> {
    let mut ids: Vec<i64> = request.selection.subject_ids.iter().map(|id| id.0).collect();
    ids.sort_unstable();
    ids
}

/// Returns the name of a purchase type for the encoding. Stored digests depend on the names, so they must never change.
fn type_name(purchase_type: PurchaseType) -> &'static str {
    match purchase_type {
        PurchaseType::SingleSubject => "single_subject",
        PurchaseType::MultipleSubjects => "multiple_subjects",
        PurchaseType::FullBundle => "full_bundle",
    }
}

#[cfg(test)]
mod tests {
    use jishu_entity::{CourseId, SubjectId};
    use rust_decimal::Decimal;

    use super::super::Selection;
    use super::*;

    fn request(subjects: &[i64], cost: Option<Decimal>) -> PurchaseRequest {
        PurchaseRequest {
            selection: Selection {
                course_id: CourseId(7),
                purchase_type: PurchaseType::MultipleSubjects,
                subject_ids: subjects.iter().copied().map(SubjectId).collect(),
            },
            cost,
            idempotency_key: None,
        }
    }

    #[test]
    fn the_order_of_subjects_and_trailing_zeros_do_not_count() {
        let hash = RequestHash::of(&request(&[3, 1], Some(Decimal::new(99_800, 2))));
        assert!(hash.is(RequestHash::of(&request(&[1, 3], Some(Decimal::new(998, 0)))).as_str()));
        assert!(!hash.is(RequestHash::of(&request(&[1, 4], Some(Decimal::new(998, 0)))).as_str()));
        assert!(!hash.is(RequestHash::of(&request(&[1, 3], None)).as_str()));
    }

    #[test]
    fn a_digest_fits_its_column_and_begins_with_the_version() {
        let hash = RequestHash::of(&request(&[1, 3], None));
        assert_eq!(hash.as_str().len(), 64);
        assert!(hash.as_str().starts_with(VERSION_PREFIX));
    }

    /// The digests here have no version. They were computed with `sha256sum`, independently of this code.
    #[test]
    fn a_digest_without_a_version_is_still_recognised() {
        let with_cost = RequestHash::of(&request(&[3, 1], Some(Decimal::new(99_800, 2))));
        assert!(with_cost.is("c36fef4b366a140dd1bd7fb403b4a3ae54fe3110721b57beeec797806c939078"));
        let without_cost = RequestHash::of(&request(&[3, 1], None));
        assert!(without_cost.is("eab44c9c455be6ca98f0c8637efe5c7e706613c5e753fd748bd18999343b30d1"));
        assert!(!without_cost.is("c36fef4b366a140dd1bd7fb403b4a3ae54fe3110721b57beeec797806c939078"));
    }
}
