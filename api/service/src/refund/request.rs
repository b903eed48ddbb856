//! The digest of a refund request. It shows whether a request with a repeated idempotency key is the same request.

use std::collections::BTreeSet;

use super::RefundRequest;
use crate::digest::sha256_hex;

/// Computes the digest of a request, from its subjects and its reason. The digest does not depend on the order of the
/// subjects. Stored digests are compared with new digests, so the encoding must never change.
pub(super) fn hash(request: &RefundRequest) -> String {
    let subjects = request.subjects.as_ref().map_or_else(
        || "all".to_owned(),
        |subjects| {
            let ids: BTreeSet<i64> = subjects.iter().map(|id| id.0).collect();
            ids.iter().map(i64::to_string).collect::<Vec<_>>().join(",")
        },
    );
    sha256_hex(&format!("subjects={subjects}\nreason={}\n", request.reason))
}

#[cfg(test)]
mod tests {
    use jishu_entity::{PurchaseId, SubjectId};

    use super::*;

    fn request(subjects: Option<&[i64]>, reason: &str) -> RefundRequest {
        RefundRequest {
            purchase: PurchaseId(1),
            subjects: subjects.map(|ids| ids.iter().copied().map(SubjectId).collect()),
            reason: reason.to_owned(),
            idempotency_key: None,
        }
    }

    #[test]
    fn the_order_of_subjects_does_not_count_and_all_else_does() {
        let first = hash(&request(Some(&[3, 1]), "Wrong subject"));
        assert_eq!(first, hash(&request(Some(&[1, 3, 1]), "Wrong subject")));
        for other in [
            request(Some(&[1]), "Wrong subject"),
            request(None, "Wrong subject"),
            request(Some(&[1, 3]), "Other"),
        ] {
            assert_ne!(first, hash(&other), "{other:?}");
        }
        assert_eq!(first.len(), 64);
    }
}
