//! The statements of a merge, made from what the catalogue says.

use super::{GROUPS_PER_SCAN, PIECE};
use crate::repair::NEW_KEY_COLUMNS;
use crate::repair::inspect::{Column, Key, Reference, TableState};
use crate::repair::sql::{TableName, same, same_set};

/// Columns that say when a sitting was, the best first.
const TIMES: [&str; 8] = [
    "started_at",
    "start_time",
    "begun_at",
    "attempted_at",
    "created_at",
    "submitted_at",
    "completed_at",
    "updated_at",
];

/// A table whose rows follow the survivor of a merge.
#[derive(Clone, Debug)]
pub(crate) struct Child {
    /// The table.
    pub(crate) table: TableName,
    /// Its column that refers to the card.
    pub(crate) column: String,
    /// How its rows are numbered, if they are.
    pub(crate) numbering: Option<Numbering>,
}

/// Rows of a card that are numbered from 1 under a unique key.
#[derive(Clone, Debug)]
pub(crate) struct Numbering {
    /// The column of the number.
    pub(crate) column: String,
    /// The unique keys that hold the number and the reference.
    pub(crate) keys: Vec<String>,
    /// The integers that tell a row from all others: its primary key, or reference and number.
    pub(crate) identity: Vec<String>,
    /// The column of its time.
    time: Option<String>,
}

impl Child {
    pub(crate) fn of(reference: &Reference, column: &str) -> Self {
        Self {
            table: reference.table.clone(),
            column: column.to_owned(),
            numbering: numbering(reference, column),
        }
    }
}

fn numbering(reference: &Reference, column: &str) -> Option<Numbering> {
    let find = |wanted: &str| reference.table_columns.iter().find(|column| same(&column.name, wanted));
    let number = find("attempt_number")?.name.clone();
    let holds = |key: &&Key, name: &str| key.columns.iter().any(|have| same(have, name));
    let keys: Vec<&Key> = reference
        .table_keys
        .iter()
        .filter(|key| key.unique && holds(key, column) && holds(key, &number))
        .collect();
    if keys.is_empty() {
        return None;
    }
    let is_integer = |column: &Column| column.definition.to_ascii_lowercase().contains("int");
    let primary = reference.table_keys.iter().find(|key| key.primary && key.columns.len() == 1);
    let identity = match primary {
        Some(key) if find(&key.columns[0]).is_some_and(is_integer) => key.columns.clone(),
        _ if keys.iter().any(|key| !key.partial && same_set(&key.columns, &[column, &number])) => {
            vec![column.to_owned(), number.clone()]
        }
        _ => return None,
    };
    let time = TIMES.iter().filter_map(|name| find(name)).find(|column| column.temporal);
    Some(Numbering {
        keys: keys.into_iter().map(|key| key.name.clone()).collect(),
        time: time.map(|column| column.name.clone()),
        column: number,
        identity,
    })
}

/// The statements, each the same text for every group.
#[derive(Clone, Debug)]
pub(crate) struct Texts {
    /// Finds groups; no parameters.
    pub(crate) scan: String,
    /// [`PIECE`] ids.
    pub(crate) lock: String,
    /// The survivor, [`PIECE`] ids.
    pub(crate) log: String,
    /// For each child table.
    pub(crate) children: Vec<ChildTexts>,
    /// Attempts used, attempts allowed, id. None where the table does not count them.
    pub(crate) count_attempts: Option<String>,
    /// The id of the merged card, the id of the survivor. None where there is no status.
    pub(crate) take_status: Option<String>,
    /// [`PIECE`] ids.
    pub(crate) delete: String,
}

/// The statements for a child table.
#[derive(Clone, Debug)]
pub(crate) struct ChildTexts {
    /// Reads [`PIECE`] cards' numbered rows in order of time: reference, number, identity. Then moves one:
    /// survivor, number, identity.
    pub(crate) numbered: Option<(String, String)>,
    /// The survivor, [`PIECE`] ids.
    pub(crate) follow: String,
}

impl Texts {
    pub(crate) fn of(state: &TableState) -> Self {
        let dialect = state.dialect();
        let cards = dialect.table(&state.table);
        let log = dialect.table(&state.log_table());
        let id = dialect.quote("id");
        let key = NEW_KEY_COLUMNS.map(|name| dialect.quote(name));
        let counts = state.has("attempts_used") && state.has("max_attempts");
        let optional = |name: &str, known: bool| {
            if known { format!("t.{}", dialect.quote(name)) } else { "NULL".to_owned() }
        };
        let used = if counts {
            format!("COALESCE(t.{}, 0) DESC, ", dialect.quote("attempts_used"))
        } else {
            String::new()
        };
        let all = dialect.quote_all(state.columns.iter().map(|column| column.name.as_str()));
        let now = if dialect.is_mysql() { "CURRENT_TIMESTAMP(6)" } else { "CURRENT_TIMESTAMP" };
        let text_key = key.clone().map(|name| dialect.text(&format!("t.{name}"))).join(", ");
        let key_list = key.join(", ");
        Self {
            scan: format!(
                "SELECT {id_value}, {text_key} FROM {cards} AS t JOIN (SELECT {key_list} FROM {cards} \
                 WHERE {whole} \
                 GROUP BY {key_list} HAVING COUNT(*) > 1 ORDER BY {key_list} LIMIT {GROUPS_PER_SCAN}) AS d \
                 ON {on} \
                 ORDER BY {order}, {used}t.{id}",
                id_value = dialect.integer(&format!("t.{id}")),
                whole = key.clone().map(|name| format!("{name} IS NOT NULL")).join(" AND "),
                on = key.clone().map(|name| format!("d.{name} = t.{name}")).join(" AND "),
                order = key.clone().map(|name| format!("t.{name}")).join(", "),
            ),
            lock: format!(
                "SELECT {id_value}, {text_key}, {used_value}, {allowed}, {status} FROM {cards} AS t \
                 WHERE t.{id} IN ({ids}) ORDER BY t.{id}{for_update}",
                id_value = dialect.integer(&format!("t.{id}")),
                used_value = dialect.integer(&optional("attempts_used", counts)),
                allowed = dialect.integer(&optional("max_attempts", counts)),
                status = dialect.text(&optional("status", state.has("status"))),
                ids = dialect.parameters(1, PIECE),
                for_update = if dialect.is_sqlite() { "" } else { " FOR UPDATE" },
            ),
            log: format!(
                "INSERT INTO {log} ({all}, {survivor_id}, {merged_at}) SELECT {all}, {survivor}, {now} \
                 FROM {cards} WHERE {id} IN ({ids})",
                survivor_id = dialect.quote("survivor_id"),
                merged_at = dialect.quote("merged_at"),
                survivor = dialect.integer(&dialect.parameter(1)),
                ids = dialect.parameters(2, PIECE),
            ),
            children: state
                .children()
                .into_iter()
                .map(|(reference, column)| child_texts(state, &Child::of(reference, column)))
                .collect(),
            count_attempts: counts.then(|| {
                format!(
                    "UPDATE {cards} SET {} = {}, {} = {} WHERE {id} = {}",
                    dialect.quote("attempts_used"),
                    dialect.parameter(1),
                    dialect.quote("max_attempts"),
                    dialect.parameter(2),
                    dialect.parameter(3),
                )
            }),
            take_status: state.has("status").then(|| {
                let status = dialect.quote("status");
                format!(
                    "UPDATE {cards} SET {status} = (SELECT m.{status} FROM {log} AS m WHERE m.{id} = {} \
                     ORDER BY m.{} DESC LIMIT 1) WHERE {id} = {}",
                    dialect.parameter(1),
                    dialect.quote("merge_id"),
                    dialect.parameter(2),
                )
            }),
            delete: format!("DELETE FROM {cards} WHERE {id} IN ({})", dialect.parameters(1, PIECE)),
        }
    }

    /// All that run for a group, in order.
    pub(crate) fn in_order(&self) -> Vec<String> {
        let mut texts = vec![self.scan.clone(), self.lock.clone(), self.log.clone()];
        for child in &self.children {
            if let Some((read, change)) = &child.numbered {
                texts.extend([read.clone(), change.clone()]);
            }
            texts.push(child.follow.clone());
        }
        texts.extend(self.count_attempts.clone());
        texts.extend(self.take_status.clone());
        texts.push(self.delete.clone());
        texts
    }
}

fn child_texts(state: &TableState, child: &Child) -> ChildTexts {
    let dialect = state.dialect();
    let (table, reference) = (dialect.table(&child.table), dialect.quote(&child.column));
    let numbered = child.numbering.as_ref().map(|numbering| {
        let number = dialect.quote(&numbering.column);
        let time = match &numbering.time {
            Some(time) => format!("{time} IS NULL, {time}, ", time = dialect.quote(time)),
            None => String::new(),
        };
        let identity: Vec<_> = numbering.identity.iter().map(|name| dialect.quote(name)).collect();
        let values = identity.iter().map(|name| dialect.integer(name)).collect::<Vec<_>>().join(", ");
        let tie = if numbering.identity.len() == 1 {
            identity.join(", ")
        } else {
            format!("{number}, {reference}")
        };
        let read = format!(
            "SELECT {}, {}, {values} FROM {table} WHERE {reference} IN ({}) AND {number} IS NOT NULL \
             ORDER BY {time}{tie}",
            dialect.integer(&reference),
            dialect.integer(&number),
            dialect.parameters(1, PIECE),
        );
        let this_row = identity
            .iter()
            .zip(3..)
            .map(|(name, position)| format!("{name} = {}", dialect.parameter(position)))
            .collect::<Vec<_>>()
            .join(" AND ");
        let change = format!(
            "UPDATE {table} SET {reference} = {}, {number} = {} WHERE {this_row}",
            dialect.parameter(1),
            dialect.parameter(2),
        );
        (read, change)
    });
    let follow = format!(
        "UPDATE {table} SET {reference} = {} WHERE {reference} IN ({})",
        dialect.parameter(1),
        dialect.parameters(2, PIECE),
    );
    ChildTexts { numbered, follow }
}
