//! Compresses responses with gzip for clients that accept it.
//!
//! A response is complete in memory, so its body is compressed at once, and the length of the body is known before it
//! is sent. A layer around the handler would send the body in chunks. tower-http's layer also turns a response into 406
//! if it can send none of the encodings in the request, even after a mutation was executed.

use std::io::Write;

use axum::http::{HeaderMap, header};
use flate2::Compression as Level;
use flate2::write::GzEncoder;

use super::negotiation;
use crate::config::EdgeConfig;

/// Decides which responses are compressed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Compression {
    /// The size above which a response is compressed, in bytes. None if no response is compressed.
    above: Option<usize>,
}

impl Compression {
    pub(super) fn new(edge: &EdgeConfig) -> Self {
        let above = usize::try_from(edge.compress_above_bytes).unwrap_or(usize::MAX);
        Self { above: Some(above).filter(|above| *above > 0) }
    }

    /// Compresses the body of a response to a request with these headers. Returns None if the body is too small, or if
    /// the client does not prefer gzip.
    pub(super) fn compress(self, headers: &HeaderMap, body: &[u8]) -> Option<Vec<u8>> {
        if self.above.is_none_or(|above| body.len() <= above) || !accepts_gzip(headers) {
            return None;
        }
        // The fastest level makes JSON nearly as small as the default level does, in less time.
        let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Level::fast());
        // Writing to a vector cannot fail.
        encoder.write_all(body).ok()?;
        encoder.finish().ok()
    }
}

fn accepts_gzip(headers: &HeaderMap) -> bool {
    negotiation::best(headers, &header::ACCEPT_ENCODING, &["identity", "gzip"]) == Some("gzip")
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use axum::http::HeaderValue;
    use flate2::read::GzDecoder;

    use super::*;

    fn compressed(above: Option<usize>, accepted: &'static str, body: &[u8]) -> Option<Vec<u8>> {
        let headers = HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(accepted))]);
        Compression { above }.compress(&headers, body)
    }

    #[test]
    fn a_large_body_is_compressed_if_the_client_prefers_that() {
        let body = "{\"data\":null}".repeat(1_000);
        for accepted in ["gzip", "gzip, deflate, br", "br;q=1.0, GZIP;q=0.8, *;q=0.1"] {
            let compressed = compressed(Some(1_400), accepted, body.as_bytes()).unwrap();
            assert!(compressed.len() < body.len() / 10);
            let mut text = String::new();
            GzDecoder::new(&*compressed).read_to_string(&mut text).unwrap();
            assert_eq!(text, body);
        }
        for accepted in
            ["", "*", "br", "deflate, identity", "gzip;q=0", "gzip;q=0, *", "identity, gzip;q=0.5"]
        {
            assert_eq!(compressed(Some(1_400), accepted, body.as_bytes()), None, "{accepted}");
        }
        assert_eq!(compressed(None, "gzip", body.as_bytes()), None);
        assert_eq!(compressed(Some(body.len()), "gzip", body.as_bytes()), None);
        assert_eq!(Compression { above: Some(1) }.compress(&HeaderMap::new(), body.as_bytes()), None);
    }
}
