//! Writes one JSON object in pieces.

use sea_orm::DbErr;
use serde_json::Value;
use tokio::sync::mpsc;

use crate::error::Fault;

/// Minimum size of a piece in bytes: a piece is sent as soon as it has this size. The last piece may be smaller.
const PIECE_BYTES: usize = 32 * 1024;

/// The reason why an export ends early.
pub(super) enum Stop {
    /// The reader of the pieces has left.
    ReaderLeft,
    /// Rows of the export cannot be read.
    Failed(Fault),
}

impl From<DbErr> for Stop {
    fn from(error: DbErr) -> Self {
        Self::Failed(error.into())
    }
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Failed(fault)
    }
}

/// Writes the fields of one JSON object in order, and sends the text in pieces.
pub(super) struct Writer {
    pieces: mpsc::Sender<Result<String, Fault>>,
    piece: String,
    /// Whether the next field or item is the first in its object or list, so that no comma comes before it.
    is_first: bool,
}

impl Writer {
    pub(super) fn new(pieces: mpsc::Sender<Result<String, Fault>>) -> Self {
        Self { pieces, piece: "{".to_owned(), is_first: true }
    }

    /// Writes a field. Sends the piece if it is large enough, as [`item`](Self::item) does.
    pub(super) async fn field(&mut self, name: &str, value: &Value) -> Result<(), Stop> {
        self.name(name);
        self.piece.push_str(&value.to_string());
        self.send_if_large().await
    }

    /// Begins a field that is a list.
    pub(super) fn begin_list(&mut self, name: &str) {
        self.name(name);
        self.piece.push('[');
        self.is_first = true;
    }

    /// Writes an item of the list that was begun last.
    pub(super) async fn item(&mut self, value: &Value) -> Result<(), Stop> {
        self.separate();
        self.piece.push_str(&value.to_string());
        self.send_if_large().await
    }

    /// Ends the list that was begun last.
    pub(super) fn end_list(&mut self) {
        self.piece.push_str("\n]");
        self.is_first = false;
    }

    /// Writes a field that is a list, with all its items.
    pub(super) async fn list(
        &mut self,
        name: &str,
        items: impl IntoIterator<Item = Value> + Send,
    ) -> Result<(), Stop> {
        self.begin_list(name);
        let items: Vec<Value> = items.into_iter().collect();
        for item in &items {
            self.item(item).await?;
        }
        self.end_list();
        Ok(())
    }

    /// Ends the object, and sends the last piece.
    pub(super) async fn end(mut self) -> Result<(), Stop> {
        self.piece.push_str("\n}\n");
        self.send().await
    }

    fn name(&mut self, name: &str) {
        self.separate();
        self.piece.push_str(&Value::from(name).to_string());
        self.piece.push(':');
    }

    fn separate(&mut self) {
        self.piece.push_str(if self.is_first { "\n" } else { ",\n" });
        self.is_first = false;
    }

    async fn send_if_large(&mut self) -> Result<(), Stop> {
        if self.piece.len() < PIECE_BYTES { Ok(()) } else { self.send().await }
    }

    async fn send(&mut self) -> Result<(), Stop> {
        let piece = std::mem::take(&mut self.piece);
        self.pieces.send(Ok(piece)).await.map_err(|_reader_left| Stop::ReaderLeft)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn the_pieces_are_one_object() {
        let (sender, mut pieces) = mpsc::channel(4);
        let writing = tokio::spawn(async move {
            let mut writer = Writer::new(sender);
            let _ = writer.field("a", &json!("\"")).await;
            let _ = writer.list("empty", []).await;
            writer.begin_list("many");
            for number in 0..20_000 {
                let _ = writer.item(&json!({ "number": number })).await;
            }
            writer.end_list();
            let _ = writer.field("last", &Value::Null).await;
            let _ = writer.end().await;
        });
        let (mut text, mut count) = (String::new(), 0);
        while let Some(piece) = pieces.recv().await {
            text.push_str(&piece.unwrap());
            count += 1;
        }
        writing.await.unwrap();
        assert!(count > 5, "{count} pieces");
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&value["a"], &value["empty"], &value["last"]), (&json!("\""), &json!([]), &Value::Null));
        assert_eq!(value["many"].as_array().unwrap().len(), 20_000);
    }
}
