//! Reads pictures from the database.

use std::collections::{BTreeSet, HashMap};

use jishu_entity::picture::PictureType;
use jishu_entity::{QuestionVersionId, picture, question_version_picture};
use question_formats::{Picture, PictureKind};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, JoinType, QueryFilter, QuerySelect, RelationDef,
};

use super::AddressKey;

/// Maximum number of addresses that one statement looks up.
const MAX_ADDRESSES_PER_STATEMENT: usize = 500;
/// Maximum number of pictures that one statement reads with their bytes.
const MAX_PICTURES_PER_STATEMENT: usize = 5_000;

/// A picture, as the server sends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredPicture {
    /// The media type, such as `image/png`.
    pub media_type: &'static str,
    /// The content of the file.
    pub bytes: Vec<u8>,
}

/// Converts a stored media type to the kind of a picture.
pub(super) fn kind(stored: PictureType) -> PictureKind {
    match stored {
        PictureType::Png => PictureKind::Png,
        PictureType::Jpeg => PictureKind::Jpeg,
        PictureType::Gif => PictureKind::Gif,
        PictureType::Webp => PictureKind::Webp,
        PictureType::Avif => PictureKind::Avif,
    }
}

/// Finds a picture by the key of its address. Returns None if no picture has this key. Checks no permission: everybody
/// who has the key may see the picture.
///
/// # Errors
/// Returns the database's error.
pub async fn find(
    connection: &impl ConnectionTrait,
    key: &AddressKey,
) -> Result<Option<StoredPicture>, DbErr> {
    let row =
        picture::Entity::find().filter(picture::Column::AddressKey.eq(key.as_str())).one(connection).await?;
    Ok(row.map(|row| StoredPicture { media_type: kind(row.media_type).media_type(), bytes: row.bytes }))
}

/// Returns the hashes of the pictures with these keys of addresses, by key. Leaves out unknown keys.
pub(crate) async fn hashes_of_addresses(
    connection: &impl ConnectionTrait,
    keys: &[AddressKey],
) -> Result<HashMap<AddressKey, String>, DbErr> {
    let mut found = HashMap::new();
    for keys in keys.chunks(MAX_ADDRESSES_PER_STATEMENT) {
        let rows: Vec<(String, String)> = picture::Entity::find()
            .select_only()
            .columns([picture::Column::AddressKey, picture::Column::Hash])
            .filter(picture::Column::AddressKey.is_in(keys.iter().map(AddressKey::as_str)))
            .into_tuple()
            .all(connection)
            .await?;
        found.extend(rows.into_iter().filter_map(|(key, hash)| Some((AddressKey::parse(&key)?, hash))));
    }
    Ok(found)
}

/// Returns the relation from `question_version_pictures` to `pictures`, by the hash.
fn picture_of_version() -> RelationDef {
    question_version_picture::Entity::belongs_to(picture::Entity)
        .from(question_version_picture::Column::Hash)
        .to(picture::Column::Hash)
        .into()
}

/// Returns the number of bytes of all pictures of each of these versions, by version. Leaves out versions without
/// pictures.
pub(crate) async fn sizes_of_versions(
    connection: &impl ConnectionTrait,
    versions: &[QuestionVersionId],
) -> Result<HashMap<QuestionVersionId, usize>, DbErr> {
    let rows: Vec<(QuestionVersionId, i32)> = question_version_picture::Entity::find()
        .select_only()
        .column(question_version_picture::Column::VersionId)
        .column(picture::Column::Size)
        .join(JoinType::InnerJoin, picture_of_version())
        .filter(question_version_picture::Column::VersionId.is_in(versions.iter().copied()))
        .into_tuple()
        .all(connection)
        .await?;
    let mut sizes: HashMap<QuestionVersionId, usize> = HashMap::new();
    for (version, size) in rows {
        *sizes.entry(version).or_default() += usize::try_from(size).unwrap_or_default();
    }
    Ok(sizes)
}

/// Reads the pictures of these versions with their bytes, by version. The caller must limit their total size.
pub(crate) async fn of_versions(
    connection: &impl ConnectionTrait,
    versions: &[QuestionVersionId],
) -> Result<HashMap<QuestionVersionId, Vec<Picture>>, DbErr> {
    let uses = question_version_picture::Entity::find()
        .filter(question_version_picture::Column::VersionId.is_in(versions.iter().copied()))
        .all(connection)
        .await?;
    let hashes: BTreeSet<&str> = uses.iter().map(|used| used.hash.as_str()).collect();
    let hashes: Vec<&str> = hashes.into_iter().collect();
    let mut pictures: HashMap<String, Picture> = HashMap::new();
    for hashes in hashes.chunks(MAX_PICTURES_PER_STATEMENT) {
        let rows = picture::Entity::find()
            .filter(picture::Column::Hash.is_in(hashes.iter().copied()))
            .all(connection)
            .await?;
        pictures.extend(rows.into_iter().map(|row| {
            let picture =
                Picture { hash: row.hash.clone(), kind: kind(row.media_type), bytes: row.bytes.into() };
            (row.hash, picture)
        }));
    }
    let mut found: HashMap<QuestionVersionId, Vec<Picture>> = HashMap::new();
    for used in uses {
        found.entry(used.version_id).or_default().extend(pictures.get(&used.hash).cloned());
    }
    Ok(found)
}
