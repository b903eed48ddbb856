//! Reads the bodies of requests.

use axum::body::{Body, BodyDataStream, Bytes};
use futures_util::StreamExt;

use super::body_memory::BodyReservation;

/// The reason why a body was not read.
#[derive(Debug)]
pub(super) enum BodyError {
    /// The body is too large. The value is the rest of the body.
    TooLarge(BodyDataStream),
    /// The body ended before it was complete.
    Incomplete,
    /// There is no memory for the body.
    NoMemory,
}

/// Reads a whole body of at most `max_bytes`, and reserves memory for it.
pub(super) async fn collect(
    body: Body,
    max_bytes: usize,
    reservation: &mut BodyReservation,
) -> Result<Bytes, BodyError> {
    let mut frames = body.into_data_stream();
    let mut first = Bytes::new();
    let mut rest: Option<Vec<u8>> = None;
    while let Some(frame) = frames.next().await {
        let frame = frame.map_err(|_incomplete| BodyError::Incomplete)?;
        let length = frame.len() + rest.as_ref().map_or(first.len(), Vec::len);
        if length > max_bytes {
            return Err(BodyError::TooLarge(frames));
        }
        reservation.add(frame.len()).map_err(|_exhausted| BodyError::NoMemory)?;
        match &mut rest {
            Some(bytes) => bytes.extend_from_slice(&frame),
            None if first.is_empty() => first = frame,
            None => rest = Some([&first[..], &frame[..]].concat()),
        }
    }
    Ok(rest.map_or(first, Bytes::from))
}
