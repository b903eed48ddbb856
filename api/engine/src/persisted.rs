//! Documents that a request names instead of sending them.
//!
//! *Trusted documents* come from a manifest that the build of a frontend writes. *Automatic persisted queries* are
//! what Apollo's clients do: they send a hash, and the text only where the hash is not known.
//! <https://www.apollographql.com/docs/apollo-server/performance/apq>

use std::collections::HashMap;
use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::Cache;
use sha2::{Digest, Sha256};

/// The SHA-256 of a document's text.
type Id = [u8; 32];

/// How many bytes of text automatic persisted queries may keep.
const REMEMBERED_BYTES: u64 = 4 * 1024 * 1024;

/// Why a manifest cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// The file cannot be read.
    #[error("the manifest of trusted documents cannot be read: {0}")]
    Unreadable(#[from] std::io::Error),
    /// It has another form.
    #[error(
        "the manifest of trusted documents must be one JSON object of ids and texts, as relay-compiler and \
         graphql-codegen write it: {0}"
    )]
    Malformed(#[from] serde_json::Error),
    /// A key is not the hash of its document.
    #[error(
        "the manifest names a document `{0}`, which is not the SHA-256 of its text: set the algorithm to sha256 \
         where it is written (`persistConfig.algorithm` of Relay, `hashAlgorithm` of graphql-codegen)"
    )]
    NotTheHash(String),
}

/// The documents of a manifest.
#[derive(Clone, Debug, Default)]
pub struct TrustedDocuments(HashMap<Id, Arc<str>>);

impl TrustedDocuments {
    /// Reads a manifest: a JSON object whose keys are the SHA-256 of the texts, in hexadecimal digits, with or
    /// without `sha256:` before them.
    ///
    /// # Errors
    /// When it has another form, or a key is not the hash of its text.
    pub fn from_manifest(json: &str) -> Result<Self, ManifestError> {
        let texts: HashMap<String, Arc<str>> = serde_json::from_str(json)?;
        let mut documents = HashMap::with_capacity(texts.len());
        for (key, text) in texts {
            match parse_id(&key) {
                Some(id) if id == hash(&text) => documents.insert(id, text),
                _ => return Err(ManifestError::NotTheHash(key)),
            };
        }
        Ok(Self(documents))
    }

    /// How many documents there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Why a request's document is not known.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unknown {
    /// Neither a text nor an id.
    Missing,
    /// A text and an id that is not that of the text.
    Mismatch,
    /// An id of no trusted document.
    Document,
    /// A hash that nobody sent with its text before.
    Query,
    /// A hash where automatic persisted queries are off.
    QueryNotSupported,
    /// A text where only trusted documents are accepted.
    Untrusted,
}

/// How a request gives its document.
#[derive(Debug, Default)]
pub(crate) struct Reference<'r> {
    pub(crate) text: Option<&'r str>,
    /// `documentId`, of the specification of GraphQL over HTTP.
    pub(crate) document_id: Option<&'r str>,
    /// `extensions.persistedQuery.sha256Hash`, of Apollo.
    pub(crate) query_hash: Option<&'r str>,
}

/// Finds the text of a request's document.
pub(crate) struct PersistedDocuments {
    trusted: TrustedDocuments,
    trusted_only: bool,
    /// None where automatic persisted queries are off.
    remembered: Option<Cache<Id, Arc<str>, ByLength>>,
}

#[derive(Clone)]
struct ByLength;

impl Weighter<Id, Arc<str>> for ByLength {
    fn weight(&self, _: &Id, text: &Arc<str>) -> u64 {
        u64::try_from(text.len()).unwrap_or(u64::MAX).saturating_add(100)
    }
}

impl PersistedDocuments {
    pub(crate) fn new(trusted: TrustedDocuments, trusted_only: bool, automatic: bool) -> Self {
        let remembered =
            (automatic && !trusted_only).then(|| Cache::with_weighter(1_000, REMEMBERED_BYTES, ByLength));
        Self { trusted, trusted_only, remembered }
    }

    pub(crate) fn resolve(&self, reference: &Reference<'_>) -> Result<Arc<str>, Unknown> {
        let Reference { text, document_id, query_hash } = *reference;
        if let Some(document_id) = document_id {
            let document =
                parse_id(document_id).and_then(|id| self.trusted.0.get(&id)).ok_or(Unknown::Document)?;
            return match text {
                Some(text) if *text != **document => Err(Unknown::Mismatch),
                _ => Ok(Arc::clone(document)),
            };
        }
        let id = query_hash.map(|hash| parse_id(hash).ok_or(Unknown::Mismatch)).transpose()?;
        match (text, id) {
            (Some(text), Some(id)) if id != hash(text) => Err(Unknown::Mismatch),
            (_, Some(id)) if self.trusted.0.contains_key(&id) => {
                self.trusted.0.get(&id).cloned().ok_or(Unknown::Document)
            }
            (Some(text), _) if self.trusted_only => {
                self.trusted.0.get(&hash(text)).cloned().ok_or(Unknown::Untrusted)
            }
            (Some(text), _) => Ok(Arc::from(text)),
            (None, Some(id)) => match &self.remembered {
                Some(remembered) => remembered.get(&id).ok_or(Unknown::Query),
                None => Err(Unknown::QueryNotSupported),
            },
            (None, None) => Err(Unknown::Missing),
        }
    }

    /// Keeps a text that a client sent with its hash, once it has proved to be a valid document.
    pub(crate) fn remember(&self, reference: &Reference<'_>, text: &Arc<str>) {
        if let (Some(remembered), Some(_), Some(hash)) =
            (&self.remembered, reference.text, reference.query_hash)
            && let Some(id) = parse_id(hash)
        {
            remembered.insert(id, Arc::clone(text));
        }
    }
}

fn hash(text: &str) -> Id {
    Sha256::digest(text.as_bytes()).into()
}

fn parse_id(id: &str) -> Option<Id> {
    let digits = id.strip_prefix("sha256:").unwrap_or(id);
    if digits.len() != 64 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "{ __typename }";
    const HASH: &str = "7f56e67dd21ab3f30d1ff8b7bed08893f0a0db86449836189b361dd1e56ddb4b";

    fn trusted() -> TrustedDocuments {
        TrustedDocuments::from_manifest(&format!("{{\"sha256:{HASH}\": \"{TEXT}\"}}")).unwrap()
    }

    fn by_id(id: &str) -> Reference<'_> {
        Reference { document_id: Some(id), ..Reference::default() }
    }

    fn by_hash<'r>(hash: &'r str, text: Option<&'r str>) -> Reference<'r> {
        Reference { text, query_hash: Some(hash), document_id: None }
    }

    #[test]
    fn a_manifest_is_read_and_checked() {
        assert_eq!(trusted().len(), 1);
        assert!(matches!(TrustedDocuments::from_manifest("[]"), Err(ManifestError::Malformed(_))));
        let md5 = r#"{"0cc175b9c0f1b6a831c399e269772661": "a"}"#;
        assert!(matches!(TrustedDocuments::from_manifest(md5), Err(ManifestError::NotTheHash(_))));
    }

    #[test]
    fn trusted_documents_go_by_their_id() {
        for only in [false, true] {
            let documents = PersistedDocuments::new(trusted(), only, true);
            assert_eq!(documents.resolve(&by_id(HASH)).as_deref(), Ok(TEXT));
            assert_eq!(documents.resolve(&by_id(&format!("sha256:{HASH}"))).as_deref(), Ok(TEXT));
            assert_eq!(documents.resolve(&by_hash(HASH, None)).as_deref(), Ok(TEXT));
            assert_eq!(documents.resolve(&by_id("nonsense")), Err(Unknown::Document));
            let text = Reference { text: Some("{ a }"), ..Reference::default() };
            let expected = if only { Err(Unknown::Untrusted) } else { Ok("{ a }") };
            assert_eq!(documents.resolve(&text).as_deref().map_err(|_| Unknown::Untrusted), expected);
            // A trusted text is trusted, however it comes.
            let text = Reference { text: Some(TEXT), ..Reference::default() };
            assert_eq!(documents.resolve(&text).as_deref(), Ok(TEXT));
            let unknown = "0".repeat(64);
            let expected = if only { Unknown::QueryNotSupported } else { Unknown::Query };
            assert_eq!(documents.resolve(&by_hash(&unknown, None)), Err(expected));
        }
    }

    #[test]
    fn a_query_is_known_by_its_hash_once_it_was_remembered() {
        let documents = PersistedDocuments::new(TrustedDocuments::default(), false, true);
        let with_text = by_hash(HASH, Some(TEXT));
        assert_eq!(documents.resolve(&by_hash(HASH, None)), Err(Unknown::Query));
        let text = documents.resolve(&with_text).unwrap();
        assert_eq!(documents.resolve(&by_hash(HASH, None)), Err(Unknown::Query));
        documents.remember(&with_text, &text);
        assert_eq!(documents.resolve(&by_hash(HASH, None)).as_deref(), Ok(TEXT));
        assert_eq!(documents.resolve(&by_hash(HASH, Some("{ a }"))), Err(Unknown::Mismatch));
        assert_eq!(documents.resolve(&by_hash("7f", Some(TEXT))), Err(Unknown::Mismatch));
        assert_eq!(parse_id(&HASH.replacen("0d", "+d", 1)), None);
        assert_eq!(documents.resolve(&Reference::default()), Err(Unknown::Missing));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let documents = PersistedDocuments::new(TrustedDocuments::default(), false, true);
        for number in 0..200 {
            let text: Arc<str> = format!("# {number}{}", "x".repeat(100_000)).into();
            let id: String = hash(&text).iter().map(|byte| format!("{byte:02x}")).collect();
            documents.remember(&by_hash(&id, Some(&text)), &text);
        }
        assert!(documents.remembered.unwrap().weight() <= REMEMBERED_BYTES);
    }
}
