//! Pictures in the texts of questions. Each picture is stored once, by the hash of its bytes. Rows are never deleted,
//! because the review of a past sitting may show the picture.

use sea_orm::entity::prelude::*;

/// The file format of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(16))")]
pub enum PictureType {
    /// PNG.
    #[sea_orm(string_value = "image/png")]
    Png,
    /// JPEG.
    #[sea_orm(string_value = "image/jpeg")]
    Jpeg,
    /// GIF.
    #[sea_orm(string_value = "image/gif")]
    Gif,
    /// WebP.
    #[sea_orm(string_value = "image/webp")]
    Webp,
    /// AVIF.
    #[sea_orm(string_value = "image/avif")]
    Avif,
}

/// A row of `pictures`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "pictures")]
pub struct Model {
    /// The SHA-256 hash of the bytes, in hexadecimal. The texts of questions name a picture by this hash.
    #[sea_orm(primary_key, auto_increment = false)]
    pub hash: String,
    /// The last part of the address of the picture, in hexadecimal. Whoever has this key may see the picture.
    #[sea_orm(unique)]
    pub address_key: String,
    /// The file format of the picture, which its first bytes show.
    pub media_type: PictureType,
    /// The number of bytes of the file.
    pub size: i32,
    /// The content of the file.
    #[sea_orm(column_type = "Blob")]
    pub bytes: Vec<u8>,
    /// The time when the picture was stored.
    pub created_at: DateTimeUtc,
}

impl ActiveModelBehavior for ActiveModel {}
