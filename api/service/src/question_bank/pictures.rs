//! The pictures in files that are imported, and in explanations that authors write.

use std::collections::{HashMap, HashSet};

use question_formats::{DraftQuestion, DraftTextFormat, keep_pictures, visit_package_texts};
use sea_orm::{ConnectionTrait, DbErr};

use super::check::InvalidQuestion;
use super::import_file::ImportFile;
use crate::picture::{self, AddressKey};

/// Finds the addresses of pictures of this server in a file. Authors copy such addresses from responses of this server.
pub(super) fn addresses_in(file: &ImportFile) -> HashSet<AddressKey> {
    let mut keys = HashSet::new();
    match file {
        ImportFile::Text(text) => keys.extend(AddressKey::all_in(text)),
        ImportFile::Package(bytes) => {
            visit_package_texts(bytes, &mut |text| keys.extend(AddressKey::all_in(text)));
        }
    }
    keys
}

/// Returns the hashes of the stored pictures at these addresses, by address. Leaves out addresses without a stored
/// picture.
pub(super) async fn known(
    connection: &impl ConnectionTrait,
    keys: HashSet<AddressKey>,
) -> Result<HashMap<AddressKey, String>, DbErr> {
    picture::hashes_of_addresses(connection, &keys.into_iter().collect::<Vec<_>>()).await
}

/// Returns the hash of the stored picture at an address of this server. Returns None for any other address, and for an
/// address that `known` does not have.
pub(super) fn hash_of(known: &HashMap<AddressKey, String>, address: &str) -> Option<String> {
    known.get(&AddressKey::of_address(address)?).cloned()
}

/// Sets the explanation of a question to a text that an author wrote, and adds the pictures that this text contains to
/// the question. Does not look for pictures in a question with plain text.
///
/// # Errors
/// Returns the database's error as the outer error. The inner error names the first file in the explanation that cannot
/// be kept.
pub(super) async fn keep(
    connection: &impl ConnectionTrait,
    question: &mut DraftQuestion,
    explanation: &str,
) -> Result<Result<(), InvalidQuestion>, DbErr> {
    if question.text_format == DraftTextFormat::Plain {
        question.explanation = Some(explanation.to_owned());
        return Ok(Ok(()));
    }
    let known = known(connection, AddressKey::all_in(explanation).collect()).await?;
    let kept = keep_pictures(explanation, question.text_format, &|address| hash_of(&known, address));
    if let Some(loss) = kept.losses.into_iter().next() {
        return Ok(Err(InvalidQuestion::FileNotKept(loss)));
    }
    question.explanation = Some(kept.text);
    question.pictures.extend(kept.pictures);
    Ok(Ok(()))
}
