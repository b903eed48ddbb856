//! Merging groups of cards, a transaction a batch.

use sea_orm_migration::sea_orm::{ConnectionTrait, DbErr, Value};
use serde::Serialize;

use super::PIECE;
use super::numbers::{Numbered, moves};
use super::texts::{ChildTexts, Texts};
use crate::repair::error::RepairError;
use crate::repair::sql::{execute, rows};

/// Cards that became one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Merged {
    /// Their purchase.
    pub purchase_id: String,
    /// Their subject.
    pub subject_id: String,
    /// Their number.
    pub test_number: String,
    /// The card that stays.
    pub survivor_id: i64,
    /// The cards that are in the log now.
    pub merged_ids: Vec<i64>,
    /// How often the survivor counts as sat now. Null where the table does not count.
    pub attempts_used: Option<i64>,
}

type Triple = (String, String, String);

/// Finds groups of duplicates, as lists of ids with the survivor first.
pub(crate) async fn scan(connection: &impl ConnectionTrait, texts: &Texts) -> Result<Vec<Vec<i64>>, DbErr> {
    let mut groups: Vec<(Triple, Vec<i64>)> = Vec::new();
    for row in rows(connection, &texts.scan, []).await? {
        let id = row.try_get_by_index(0)?;
        let key: Triple = (row.try_get_by_index(1)?, row.try_get_by_index(2)?, row.try_get_by_index(3)?);
        match groups.last_mut() {
            Some((last, ids)) if *last == key => ids.push(id),
            _ => groups.push((key, vec![id])),
        }
    }
    Ok(groups.into_iter().map(|(_, ids)| ids).collect())
}

/// A card as it is under our lock.
struct Card {
    id: i64,
    key: Triple,
    used: Option<i64>,
    allowed: Option<i64>,
    status: Option<String>,
}

/// What runs inside one transaction.
pub(crate) struct Batch<'b, C> {
    pub(crate) connection: &'b C,
    pub(crate) texts: &'b Texts,
}

impl<C: ConnectionTrait> Batch<'_, C> {
    /// Merges these groups. What is no longer a duplicate under the lock is left alone.
    pub(crate) async fn merge(&self, groups: &[Vec<i64>]) -> Result<Vec<Merged>, RepairError> {
        let mut done = Vec::new();
        for group in groups {
            let [survivor, others @ ..] = group.as_slice() else { continue };
            for piece in others.chunks(PIECE - 1) {
                let mut ids = vec![*survivor];
                ids.extend(piece);
                done.extend(self.merge_piece(&ids).await?);
            }
        }
        Ok(done)
    }

    async fn merge_piece(&self, ids: &[i64]) -> Result<Option<Merged>, RepairError> {
        let mut cards = self.locked(ids).await?;
        let Some(key) = cards.iter().find(|card| card.id == ids[0]).map(|card| card.key.clone()) else {
            return Ok(None);
        };
        cards.retain(|card| card.key == key);
        cards.sort_by_key(|card| (std::cmp::Reverse(card.used.unwrap_or(0)), card.id));
        let [survivor, merged @ ..] = cards.as_slice() else { return Ok(None) };
        if merged.is_empty() {
            return Ok(None);
        }
        let merged_ids: Vec<i64> = merged.iter().map(|card| card.id).collect();

        let logged = execute(self.connection, &self.texts.log, values([survivor.id], &merged_ids)).await?;
        expect("cards written to the log", logged, merged_ids.len())?;
        for child in &self.texts.children {
            self.follow(child, survivor.id, &merged_ids).await?;
        }
        let attempts_used = self.count_attempts(survivor, merged).await?;
        self.take_status(survivor, merged).await?;
        let deleted = execute(self.connection, &self.texts.delete, values([], &merged_ids)).await?;
        expect("cards taken out of the table", deleted, merged_ids.len())?;
        let (purchase_id, subject_id, test_number) = key;
        Ok(Some(Merged {
            purchase_id,
            subject_id,
            test_number,
            survivor_id: survivor.id,
            merged_ids,
            attempts_used,
        }))
    }

    /// The lock keeps others from writing rows that refer to these cards.
    async fn locked(&self, ids: &[i64]) -> Result<Vec<Card>, DbErr> {
        rows(self.connection, &self.texts.lock, values([], ids))
            .await?
            .iter()
            .map(|row| {
                Ok(Card {
                    id: row.try_get_by_index(0)?,
                    key: (
                        row.try_get_by_index::<Option<String>>(1)?.unwrap_or_default(),
                        row.try_get_by_index::<Option<String>>(2)?.unwrap_or_default(),
                        row.try_get_by_index::<Option<String>>(3)?.unwrap_or_default(),
                    ),
                    used: row.try_get_by_index(4)?,
                    allowed: row.try_get_by_index(5)?,
                    status: row.try_get_by_index(6)?,
                })
            })
            .collect()
    }

    async fn follow(&self, child: &ChildTexts, survivor: i64, merged: &[i64]) -> Result<(), RepairError> {
        if let Some((read, change)) = &child.numbered {
            let mut ids = vec![survivor];
            ids.extend(merged);
            let mut numbered = Vec::new();
            let mut identities: Vec<Vec<i64>> = Vec::new();
            for row in rows(self.connection, read, values([], &ids)).await? {
                numbered.push(Numbered { card: row.try_get_by_index(0)?, number: row.try_get_by_index(1)? });
                let mut identity = vec![row.try_get_by_index(2)?];
                if row.column_names().len() > 3 {
                    identity.push(row.try_get_by_index(3)?);
                }
                identities.push(identity);
            }
            if numbered.iter().any(|row| row.card != survivor) {
                for (position, number) in moves(&numbered, survivor) {
                    let identity = &mut identities[position];
                    let mut parameters = vec![survivor, number];
                    parameters.extend(identity.iter());
                    let parameters = parameters.into_iter().map(Value::from);
                    let changed = execute(self.connection, change, parameters).await?;
                    expect("rows numbered anew", changed, 1)?;
                    if let [card, held] = identity.as_mut_slice() {
                        (*card, *held) = (survivor, number);
                    }
                }
            }
        }
        execute(self.connection, &child.follow, values([survivor], merged)).await?;
        Ok(())
    }

    /// The sum of what was used, at most what one card allows.
    async fn count_attempts(&self, survivor: &Card, merged: &[Card]) -> Result<Option<i64>, RepairError> {
        let (Some(text), Some(own)) = (&self.texts.count_attempts, survivor.used) else {
            return Ok(survivor.used);
        };
        let sum = merged.iter().filter_map(|card| card.used).fold(own, i64::saturating_add);
        let allowed = merged.iter().chain([survivor]).filter_map(|card| card.allowed).max();
        let used = allowed.map_or(sum, |allowed| sum.min(allowed)).max(own);
        if Some(used) != survivor.used || allowed != survivor.allowed {
            let parameters = [used.into(), allowed.into(), survivor.id.into()];
            let changed = execute(self.connection, text, parameters).await?;
            expect("cards counted", changed, 1)?;
        }
        Ok(Some(used))
    }

    /// An open sitting moves to the survivor, which then is in progress.
    async fn take_status(&self, survivor: &Card, merged: &[Card]) -> Result<(), RepairError> {
        let open = |card: &&Card| {
            card.status.as_deref().is_some_and(|status| status.eq_ignore_ascii_case("in_progress"))
        };
        if let (Some(text), Some(card)) = (&self.texts.take_status, merged.iter().find(open))
            && !open(&survivor)
        {
            execute(self.connection, text, [card.id.into(), survivor.id.into()]).await?;
        }
        Ok(())
    }
}

/// The parameters of a statement that takes [`PIECE`] ids: the last is repeated.
fn values(first: impl IntoIterator<Item = i64>, ids: &[i64]) -> Vec<Value> {
    let last = ids.last().copied().unwrap_or_default();
    let ids = ids.iter().copied().chain(std::iter::repeat(last)).take(PIECE);
    first.into_iter().chain(ids).map(Value::from).collect()
}

fn expect(what: &str, found: u64, wanted: usize) -> Result<(), RepairError> {
    if u64::try_from(wanted) == Ok(found) {
        return Ok(());
    }
    Err(RepairError::Inconsistent(format!("{what}: {found} instead of {wanted}")))
}
