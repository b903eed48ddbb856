//! Documents that a request names by an id or a hash instead of sending the text.
//!
//! *Trusted documents* come from a manifest, which the build of a frontend writes. *Automatic persisted queries* are
//! the protocol of Apollo's clients: they send the hash of a document, and its text only if the server does not know
//! the hash.
//! <https://www.apollographql.com/docs/apollo-server/performance/apq>

use std::collections::HashMap;
use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::Cache;
use sha2::{Digest, Sha256};

/// The SHA-256 of a document's text.
type DocumentHash = [u8; 32];

/// The maximum size of the cache for automatic persisted queries, in bytes. The bytes of the texts count, and some
/// bytes for each entry.
const MAX_PERSISTED_QUERY_BYTES: u64 = 4 * 1024 * 1024;

/// The number of entries for which the cache of persisted queries reserves room when it is made.
const INITIAL_ENTRIES: usize = 1_000;
/// The memory of an entry of the cache in bytes, in addition to its text.
const BYTES_PER_ENTRY: u64 = 100;

/// The reason why a manifest of trusted documents cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// The file with the manifest cannot be read.
    #[error("the manifest of trusted documents cannot be read: {0}")]
    Unreadable(#[from] std::io::Error),
    /// The manifest is not a JSON object of ids and texts.
    #[error(
        "the manifest of trusted documents must be a JSON object of ids and texts, as relay-compiler and \
         graphql-codegen write it: {0}"
    )]
    Malformed(#[from] serde_json::Error),
    /// An id is not the hash of its document.
    #[error(
        "the manifest has the id `{0}`, which is not the SHA-256 of its document: set the hash algorithm to sha256 in the \
         tool that writes the manifest (`persistConfig.algorithm` of Relay, `hashAlgorithm` of graphql-codegen)"
    )]
    NotTheHash(String),
}

/// The trusted documents of a manifest, by the hashes of their texts.
#[derive(Clone, Debug, Default)]
pub struct TrustedDocuments {
    by_hash: HashMap<DocumentHash, Arc<str>>,
}

impl TrustedDocuments {
    /// Reads a manifest: a JSON object of ids and texts. Each id is the SHA-256 of its text in hexadecimal digits, with
    /// or without the prefix `sha256:`.
    ///
    /// # Errors
    /// Fails if the manifest is not a JSON object of ids and texts, or if an id is not the hash of its text.
    pub fn from_manifest(json: &str) -> Result<Self, ManifestError> {
        let texts: HashMap<String, String> = serde_json::from_str(json)?;
        let mut by_hash = HashMap::with_capacity(texts.len());
        for (id, text) in texts {
            match parse_hash(&id) {
                Some(hash) if hash == hash_of(&text) => by_hash.insert(hash, Arc::from(text)),
                _ => return Err(ManifestError::NotTheHash(id)),
            };
        }
        Ok(Self { by_hash })
    }

    /// Returns the number of trusted documents.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_hash.len()
    }

    /// Returns whether there are no trusted documents.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_hash.is_empty()
    }

    fn get(&self, hash: &DocumentHash) -> Option<Arc<str>> {
        self.by_hash.get(hash).cloned()
    }
}

/// The reason why the document of a request cannot be found or is not accepted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ResolveError {
    /// The request has neither the text nor the id nor the hash of a document.
    Missing,
    /// The request has an id or a hash that does not belong to its text, or a hash that is not a SHA-256.
    Mismatch,
    /// No trusted document has the id in the request.
    UnknownDocument,
    /// The server does not know the hash in the request: no client has sent a valid document with this hash, or the
    /// cache has dropped the text.
    UnknownHash,
    /// The request has only a hash, which no trusted document has, and automatic persisted queries are disabled.
    HashNotSupported,
    /// The request has the text of a document that is not trusted, and only trusted documents are accepted.
    Untrusted,
}

/// The ways in which a request names its document.
#[derive(Debug, Default)]
pub(crate) struct DocumentReference<'r> {
    /// The parameter `query`: the text of the document.
    pub(crate) text: Option<&'r str>,
    /// The parameter `documentId`: the id of a trusted document.
    pub(crate) document_id: Option<&'r str>,
    /// The parameter `extensions.persistedQuery.sha256Hash`: the hash of a document, which Apollo's clients send.
    pub(crate) query_hash: Option<&'r str>,
}

/// The documents that requests can name: the trusted documents, and the documents whose text a client has sent together
/// with the hash of the text.
pub(crate) struct PersistedDocuments {
    trusted: TrustedDocuments,
    trusted_only: bool,
    /// The texts of documents that clients have sent together with the hash of the text, by that hash. `None` if
    /// automatic persisted queries are disabled.
    remembered: Option<Cache<DocumentHash, Arc<str>, TextWeighter>>,
}

#[derive(Clone)]
struct TextWeighter;

impl Weighter<DocumentHash, Arc<str>> for TextWeighter {
    fn weight(&self, _: &DocumentHash, text: &Arc<str>) -> u64 {
        u64::try_from(text.len()).unwrap_or(u64::MAX).saturating_add(BYTES_PER_ENTRY)
    }
}

impl PersistedDocuments {
    pub(crate) fn new(trusted: TrustedDocuments, trusted_only: bool, automatic: bool) -> Self {
        let remembered = (automatic && !trusted_only)
            .then(|| Cache::with_weighter(INITIAL_ENTRIES, MAX_PERSISTED_QUERY_BYTES, TextWeighter));
        Self { trusted, trusted_only, remembered }
    }

    /// Finds the text of the document that a request names. Checks that the text, the id and the hash in the request
    /// belong together, and that the document is trusted if only trusted documents are accepted.
    pub(crate) fn resolve(&self, reference: &DocumentReference<'_>) -> Result<Arc<str>, ResolveError> {
        let DocumentReference { text, document_id, query_hash } = *reference;
        if let Some(id) = document_id {
            let document = parse_hash(id).and_then(|hash| self.trusted.get(&hash));
            let document = document.ok_or(ResolveError::UnknownDocument)?;
            return match text {
                Some(text) if *text != *document => Err(ResolveError::Mismatch),
                _ => Ok(document),
            };
        }
        let hash = query_hash.map(|hash| parse_hash(hash).ok_or(ResolveError::Mismatch)).transpose()?;
        if let (Some(text), Some(hash)) = (text, hash)
            && hash != hash_of(text)
        {
            return Err(ResolveError::Mismatch);
        }
        if let Some(document) = hash.and_then(|hash| self.trusted.get(&hash)) {
            return Ok(document);
        }
        match (text, hash) {
            (Some(text), _) if self.trusted_only => {
                self.trusted.get(&hash_of(text)).ok_or(ResolveError::Untrusted)
            }
            (Some(text), _) => Ok(Arc::from(text)),
            (None, Some(hash)) => match &self.remembered {
                Some(remembered) => remembered.get(&hash).ok_or(ResolveError::UnknownHash),
                None => Err(ResolveError::HashNotSupported),
            },
            (None, None) => Err(ResolveError::Missing),
        }
    }

    /// Returns whether this is the text of a trusted document. The request may have sent the text, the id or the hash.
    pub(crate) fn is_trusted(&self, text: &str) -> bool {
        !self.trusted.is_empty() && self.trusted.get(&hash_of(text)).is_some()
    }

    /// Keeps the text of a document that a client sent together with the hash of the text. Does nothing if the request
    /// lacks the text or the hash, or if automatic persisted queries are disabled. Call this function only after the
    /// document was validated.
    pub(crate) fn remember(&self, reference: &DocumentReference<'_>, text: &Arc<str>) {
        if let (Some(remembered), Some(_), Some(hash)) =
            (&self.remembered, reference.text, reference.query_hash)
            && let Some(hash) = parse_hash(hash)
        {
            remembered.insert(hash, Arc::clone(text));
        }
    }
}

fn hash_of(text: &str) -> DocumentHash {
    Sha256::digest(text.as_bytes()).into()
}

/// Parses a SHA-256 in hexadecimal digits, with or without the prefix `sha256:`. Returns None for any other text.
fn parse_hash(text: &str) -> Option<DocumentHash> {
    let digits = text.strip_prefix("sha256:").unwrap_or(text);
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

    fn by_id(id: &str) -> DocumentReference<'_> {
        DocumentReference { document_id: Some(id), ..DocumentReference::default() }
    }

    fn by_hash<'r>(hash: &'r str, text: Option<&'r str>) -> DocumentReference<'r> {
        DocumentReference { text, query_hash: Some(hash), document_id: None }
    }

    #[test]
    fn a_manifest_is_read_and_checked() {
        assert_eq!(trusted().len(), 1);
        assert!(matches!(TrustedDocuments::from_manifest("[]"), Err(ManifestError::Malformed(_))));
        let md5 = r#"{"0cc175b9c0f1b6a831c399e269772661": "a"}"#;
        assert!(matches!(TrustedDocuments::from_manifest(md5), Err(ManifestError::NotTheHash(_))));
    }

    #[test]
    fn a_trusted_document_is_found_by_its_id() {
        for only in [false, true] {
            let documents = PersistedDocuments::new(trusted(), only, true);
            assert_eq!(documents.resolve(&by_id(HASH)).as_deref(), Ok(TEXT));
            assert_eq!(documents.resolve(&by_id(&format!("sha256:{HASH}"))).as_deref(), Ok(TEXT));
            assert_eq!(documents.resolve(&by_hash(HASH, None)).as_deref(), Ok(TEXT));
            assert_eq!(documents.resolve(&by_id("nonsense")), Err(ResolveError::UnknownDocument));
            let text = DocumentReference { text: Some("{ a }"), ..DocumentReference::default() };
            let expected = if only { Err(ResolveError::Untrusted) } else { Ok("{ a }") };
            assert_eq!(documents.resolve(&text).as_deref().map_err(|_| ResolveError::Untrusted), expected);
            // The text of a trusted document is accepted too.
            let text = DocumentReference { text: Some(TEXT), ..DocumentReference::default() };
            assert_eq!(documents.resolve(&text).as_deref(), Ok(TEXT));
            let unknown = "0".repeat(64);
            let expected = if only { ResolveError::HashNotSupported } else { ResolveError::UnknownHash };
            assert_eq!(documents.resolve(&by_hash(&unknown, None)), Err(expected));
        }
    }

    #[test]
    fn a_document_is_found_by_its_hash_after_its_text_was_remembered() {
        let documents = PersistedDocuments::new(TrustedDocuments::default(), false, true);
        let with_text = by_hash(HASH, Some(TEXT));
        assert_eq!(documents.resolve(&by_hash(HASH, None)), Err(ResolveError::UnknownHash));
        let text = documents.resolve(&with_text).unwrap();
        assert_eq!(documents.resolve(&by_hash(HASH, None)), Err(ResolveError::UnknownHash));
        documents.remember(&with_text, &text);
        assert_eq!(documents.resolve(&by_hash(HASH, None)).as_deref(), Ok(TEXT));
        assert_eq!(documents.resolve(&by_hash(HASH, Some("{ a }"))), Err(ResolveError::Mismatch));
        assert_eq!(documents.resolve(&by_hash("7f", Some(TEXT))), Err(ResolveError::Mismatch));
        assert_eq!(parse_hash(&HASH.replacen("0d", "+d", 1)), None);
        assert_eq!(documents.resolve(&DocumentReference::default()), Err(ResolveError::Missing));
    }

    #[test]
    fn the_texts_remembered_are_bounded() {
        let documents = PersistedDocuments::new(TrustedDocuments::default(), false, true);
        for number in 0..200 {
            let text: Arc<str> = format!("# {number}{}", "x".repeat(100_000)).into();
            let id: String = hash_of(&text).iter().map(|byte| format!("{byte:02x}")).collect();
            documents.remember(&by_hash(&id, Some(&text)), &text);
        }
        assert!(documents.remembered.unwrap().weight() <= MAX_PERSISTED_QUERY_BYTES);
    }
}
