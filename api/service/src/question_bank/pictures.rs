//! The pictures of questions that come in, and of questions that go out.

use std::collections::HashMap;

use question_formats::{DraftQuestion, DraftTextFormat, keep_pictures};
use sea_orm::{ConnectionTrait, DbErr};

use super::check::InvalidQuestion;
use super::prepare::ImportFile;
use crate::picture::{self, AddressKey};

/// Finds the pictures that a file shows by their addresses on this server, as an author copies them from a response.
pub(super) async fn known(
    connection: &impl ConnectionTrait,
    file: &ImportFile,
) -> Result<HashMap<AddressKey, String>, DbErr> {
    match file {
        ImportFile::Text(text) => known_in(connection, text).await,
        // The texts in a package are not known yet.
        ImportFile::Package(_) => Ok(HashMap::new()),
    }
}

async fn known_in(
    connection: &impl ConnectionTrait,
    text: &str,
) -> Result<HashMap<AddressKey, String>, DbErr> {
    let keys: Vec<AddressKey> = AddressKey::all_in(text).collect();
    picture::hashes_of_addresses(connection, &keys).await
}

/// Returns the hash of the picture at an address of this server.
pub(super) fn hash_of(known: &HashMap<AddressKey, String>, address: &str) -> Option<String> {
    known.get(&AddressKey::of_address(address)?).cloned()
}

/// Keeps the pictures of an explanation that an author wrote. Adds new ones to the question.
///
/// # Errors
/// The inner error says which file is not kept.
pub(super) async fn keep(
    connection: &impl ConnectionTrait,
    question: &mut DraftQuestion,
    explanation: &str,
) -> Result<Result<(), InvalidQuestion>, DbErr> {
    if question.text_format == DraftTextFormat::Plain {
        question.explanation = Some(explanation.to_owned());
        return Ok(Ok(()));
    }
    let known = known_in(connection, explanation).await?;
    let kept = keep_pictures(explanation, question.text_format, &|address| hash_of(&known, address));
    if let Some(loss) = kept.losses.into_iter().next() {
        return Ok(Err(InvalidQuestion::FileNotKept(loss)));
    }
    question.explanation = Some(kept.text);
    question.pictures.extend(kept.pictures);
    Ok(Ok(()))
}
