//! Stores pictures in the database.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use chrono::{DateTime, Utc};
use jishu_entity::picture::PictureType;
use jishu_entity::{QuestionVersionId, picture, question_version_picture};
use question_formats::{DraftQuestion, Picture, PictureKind, picture_hashes};
use sea_orm::{ActiveValue::Set, ColumnTrait, DatabaseTransaction, EntityTrait, QueryFilter, QuerySelect};

use super::PictureAddresses;
use crate::error::Fault;

/// Maximum number of pictures that one statement looks up, and of rows that one statement inserts into
/// `question_version_pictures`. Each row needs two parameters, and SQLite allows 32,766 parameters for a statement.
const MAX_PICTURES_PER_STATEMENT: usize = 5_000;

/// Converts the kind of a picture to the stored media type.
fn media_type(kind: PictureKind) -> PictureType {
    match kind {
        PictureKind::Png => PictureType::Png,
        PictureKind::Jpeg => PictureType::Jpeg,
        PictureKind::Gif => PictureType::Gif,
        PictureKind::Webp => PictureType::Webp,
        PictureKind::Avif => PictureType::Avif,
    }
}

/// Stores the pictures of new versions, except those that the database already has. Also records which version shows
/// which picture.
pub(crate) async fn store(
    transaction: &DatabaseTransaction,
    now: DateTime<Utc>,
    versions: &[(QuestionVersionId, &DraftQuestion)],
) -> Result<(), Fault> {
    let uses: BTreeSet<(i64, &str)> = versions
        .iter()
        .flat_map(|(id, draft)| draft.texts().flat_map(picture_hashes).map(|hash| (id.0, hash)))
        .collect();
    if uses.is_empty() {
        return Ok(());
    }
    // The map is sorted by hash. So two transactions that insert the same pictures lock the keys in the same order.
    let pictures: BTreeMap<&str, &Picture> = versions
        .iter()
        .flat_map(|(_, draft)| &draft.pictures)
        .map(|picture| (picture.hash.as_str(), picture))
        .collect();
    insert(transaction, now, pictures).await?;
    let uses: Vec<(i64, &str)> = uses.into_iter().collect();
    for uses in uses.chunks(MAX_PICTURES_PER_STATEMENT) {
        let rows = uses.iter().map(|(version, hash)| question_version_picture::ActiveModel {
            version_id: Set(QuestionVersionId(*version)),
            hash: Set((*hash).to_owned()),
        });
        question_version_picture::Entity::insert_many(rows).exec_without_returning(transaction).await?;
    }
    Ok(())
}

/// Inserts the pictures that the database does not have. If another transaction inserts the same picture at the same
/// time, the unique key refuses one of the two rows. The transaction of the refused row is then retried as a whole.
async fn insert(
    transaction: &DatabaseTransaction,
    now: DateTime<Utc>,
    pictures: BTreeMap<&str, &Picture>,
) -> Result<(), Fault> {
    if pictures.is_empty() {
        return Ok(());
    }
    let hashes: Vec<&str> = pictures.keys().copied().collect();
    let mut stored: HashSet<String> = HashSet::new();
    for hashes in hashes.chunks(MAX_PICTURES_PER_STATEMENT) {
        let found: Vec<String> = picture::Entity::find()
            .select_only()
            .column(picture::Column::Hash)
            .filter(picture::Column::Hash.is_in(hashes.iter().copied()))
            .into_tuple()
            .all(transaction)
            .await?;
        stored.extend(found);
    }
    let new: Vec<&Picture> =
        pictures.into_values().filter(|picture| !stored.contains(&picture.hash)).collect();
    if new.is_empty() {
        return Ok(());
    }
    let addresses = PictureAddresses::load(transaction, None).await?;
    // Insert each picture with its own statement: several pictures together could exceed the size of a statement that
    // MariaDB allows.
    for new in new {
        let row = picture::ActiveModel {
            hash: Set(new.hash.clone()),
            address_key: Set(addresses.key(&new.hash).as_str().to_owned()),
            media_type: Set(media_type(new.kind)),
            size: Set(i32::try_from(new.bytes.len()).unwrap_or(i32::MAX)),
            bytes: Set(new.bytes.to_vec()),
            created_at: Set(now),
        };
        picture::Entity::insert(row).exec_without_returning(transaction).await?;
    }
    Ok(())
}
