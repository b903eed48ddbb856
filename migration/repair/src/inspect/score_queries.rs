//! The queries that compare the status, the scores and the owner of a card with its sittings.

use super::sitting_queries::SittingQueries;
use super::table::TableColumn;
use crate::sql::same;

impl SittingQueries<'_> {
    /// Selects cards that are available although a sitting is open, or in progress although no sitting is open. Leaves
    /// out a card in progress with more attempts used than sittings, because sittings were deleted. Returns `None` if
    /// cards or sittings have no status.
    pub(super) fn wrong_status(&self) -> Option<String> {
        if !self.state.has("status") || !self.sittings.has("status") {
            return None;
        }
        let (id, own) = (self.name("t", "id"), self.dialect.text(&self.name("t", "status")));
        let used =
            if self.state.has("attempts_used") { self.name("t", "attempts_used") } else { "0".to_owned() };
        let (open, sitting) = (self.has_status("in_progress"), self.name("s", &self.sittings.id));
        let (cards, on) = (self.cards(), format!("{} AS s ON {} = {id}", self.table(), self.card()));
        Some(format!(
            "SELECT {id} AS id, MAX({own}) AS status, COUNT(*) AS open_sittings FROM {cards} AS t JOIN {on} WHERE \
             LOWER({own}) = 'available' AND {open} GROUP BY {id} UNION ALL SELECT {id} AS id, MAX({own}) AS status, 0 \
             AS open_sittings FROM {cards} AS t LEFT JOIN {on} WHERE LOWER({own}) = 'in_progress' GROUP BY {id} \
             HAVING COUNT(CASE WHEN {open} THEN 1 END) = 0 AND COALESCE(MAX({used}), 0) <= COUNT({sitting})"
        ))
    }

    /// Selects sittings that belong to another user than their card. Returns `None` if cards or sittings have no user.
    pub(super) fn other_users(&self) -> Option<String> {
        if !self.state.has("user_id") || !self.sittings.has("user_id") {
            return None;
        }
        let [sitting_user, card_user] =
            ["s", "t"].map(|alias| self.dialect.text(&self.name(alias, "user_id")));
        Some(format!(
            "SELECT {sitting} AS sitting, {sitting_user} AS sitting_user, {id} AS card, {card_user} AS card_user FROM \
             {table} AS s JOIN {cards} AS t ON {id} = {card} WHERE {sitting_user} <> {card_user}",
            sitting = self.name("s", &self.sittings.id),
            id = self.name("t", "id"),
            table = self.table(),
            cards = self.cards(),
            card = self.card(),
        ))
    }

    /// Selects cards whose first or latest score, or the date of this score, differs from their first or latest scored
    /// sitting. Also compares the percentage and the time taken with the latest sitting. Returns `None` if the columns
    /// for this comparison do not exist.
    ///
    /// Considers only cards whose order of sittings is certain: no sitting was deleted, all sittings have a time, and
    /// either all or none of the sittings with a score have an end.
    pub(super) fn wrong_scores(&self) -> Option<String> {
        let score = self.score()?;
        let time = self.name("s", self.sittings.time.as_deref()?);
        if !self.state.has("attempts_used") {
            return None;
        }
        let (card, id) = (self.card(), self.name("s", &self.sittings.id));
        let completed_at = self.sittings.column(self.dialect, "s", "completed_at");
        let scored = format!("{} AND {score} IS NOT NULL", self.completed());
        let mut texts = Vec::new();
        for (which, direction, own_score, own_date) in [
            ("latest", "DESC", "latest_score", "latest_attempt_date"),
            ("first", "ASC", "first_attempt_score", "first_attempt_date"),
        ] {
            if !self.state.has(own_score) {
                continue;
            }
            let ends = if self.sittings.has("completed_at") {
                format!("{} {direction}, ", self.dialect.moment(&completed_at))
            } else {
                String::new()
            };
            texts.push(format!(
                "SELECT {card_id} AS id, '{which}' AS which, {own} AS card_score, l.score AS sitting_score, {card_date} \
                 AS card_date, l.moment AS sitting_date FROM {cards} AS t JOIN (SELECT {card} AS card, {score} AS \
                 score, {percentage} AS percentage, {taken} AS taken, {began} AS began, {ended} AS ended, COALESCE({end}, \
                 {moment}) AS moment, ROW_NUMBER() OVER (PARTITION BY {card} ORDER BY {ends}{order} {direction}, {id} {direction}) \
                 AS position FROM {table} AS s WHERE {scored}) AS l ON l.card = {card_id} AND l.position = 1 JOIN \
                 (SELECT {card} AS card, COUNT(*) AS sittings, COUNT({time}) AS dated, COUNT(CASE WHEN {scored} THEN \
                 1 END) AS scored, COUNT(CASE WHEN {scored} THEN {completed_at} END) AS ended FROM {table} AS s GROUP \
                 BY {card}) AS k ON k.card = {card_id} WHERE {used} <= k.sittings AND k.dated = k.sittings AND k.ended \
                 IN (0, k.scored) AND ({different})",
                card_id = self.name("t", "id"),
                own = self.name("t", own_score),
                card_date = self.dialect.text(&self.state.card_column("t", own_date)),
                percentage = self.sittings.column(self.dialect, "s", "percentage"),
                taken = self.sittings.column(self.dialect, "s", "time_taken"),
                began = self.day_of_sitting(self.sittings.time.as_deref().unwrap_or_default()),
                ended = self.day_of_sitting("completed_at"),
                moment = self.dialect.text(&time),
                end = self.dialect.text(&completed_at),
                order = self.dialect.moment(&time),
                cards = self.cards(),
                table = self.table(),
                used = self.name("t", "attempts_used"),
                different = self.different(own_score, own_date).join(" OR "),
            ));
        }
        (!texts.is_empty()).then(|| texts.join(" UNION ALL "))
    }

    /// Returns the SQL conditions under which a card differs from the sitting `l`. One true condition is enough.
    fn different(&self, own_score: &str, own_date: &str) -> Vec<String> {
        let own = self.name("t", own_score);
        let mut different = vec![format!("ABS({own} - l.score) >= 0.01")];
        // If sittings have no status, the database is from a time when cards had no scores. Then a missing score of a
        // card is no difference.
        if self.sittings.has("status") {
            different.push(format!("{own} IS NULL"));
        }
        let own_column = |name: &str| self.state.columns.iter().find(|column| same(&column.name, name));
        if own_score == "latest_score" {
            for (name, of_sitting, alias, margin) in [
                ("latest_percentage", "percentage", "percentage", ">= 0.01"),
                ("latest_time_taken", "time_taken", "taken", "> 1"),
            ] {
                let both = [own_column(name), self.sittings.find(of_sitting)];
                if both.iter().all(|column| column.is_some_and(is_number)) {
                    different.push(format!("ABS({} - l.{alias}) {margin}", self.name("t", name)));
                }
            }
        }
        if own_column(own_date).is_some_and(|column| self.has_day(column)) {
            // A difference of less than a day may come from the time zone of a server.
            let day = self.dialect.day(&self.name("t", own_date));
            different.push(format!("{day} < l.began - 1 OR {day} > l.ended + 1"));
        }
        different
    }

    /// Returns the SQL expression for the day of a column of the sitting. It is null if the column has no readable day.
    fn day_of_sitting(&self, name: &str) -> String {
        match self.sittings.find(name) {
            Some(column) if self.has_day(column) => self.dialect.day(&self.name("s", name)),
            _ => self.dialect.day("NULL"),
        }
    }

    /// Returns whether the day of this column can be read without an error.
    fn has_day(&self, column: &TableColumn) -> bool {
        let definition = column.definition.to_ascii_lowercase();
        column.temporal
            && (!self.dialect.is_postgres()
                || ["timestamp", "date"].iter().any(|start| definition.starts_with(start)))
    }
}

fn is_number(column: &TableColumn) -> bool {
    let definition = column.definition.to_ascii_lowercase();
    ["int", "serial", "num", "dec", "float", "double", "real"].iter().any(|kind| definition.contains(kind))
        && !definition.contains("interval")
}
