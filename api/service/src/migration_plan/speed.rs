//! Measures how fast a database changes a table.

use std::time::{Duration, Instant};

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, DbErr};

use super::Work;

/// The square root of the number of rows of the measurement. A recursive query makes this many rows, and a join of
/// these rows with themselves makes the table. MariaDB would end a longer recursive query after 1,000 rounds.
const ROOT_OF_ROWS: u32 = 316;

/// The time that each kind of work takes for one row, as measured with 99,856 rows of about 80 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Speed {
    /// The time to read a row and check it.
    pub scan: Duration,
    /// The time to add a row to an index.
    pub index: Duration,
    /// The time to change a row.
    pub update: Duration,
    /// The time to copy a row into another table.
    pub copy: Duration,
    /// The number of rows with which the times were measured.
    pub rows: u32,
}

impl Speed {
    /// Fills a table in a scratch database, measures the time of each kind of work, and drops the table.
    pub(super) async fn measure(connection: &DatabaseConnection) -> Result<Self, DbErr> {
        let rows = ROOT_OF_ROWS * ROOT_OF_ROWS;
        let run = async |text: &str| connection.execute_unprepared(text).await.map(drop);
        let columns = "(id BIGINT NOT NULL PRIMARY KEY, value BIGINT NOT NULL, content VARCHAR(64) NOT NULL)";
        run(&format!("CREATE TABLE calibration {columns}")).await?;
        run(&format!(
            "INSERT INTO calibration (id, value, content) WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n \
             WHERE i < {last}) SELECT a.i * {ROOT_OF_ROWS} + b.i, b.i, '{content}' FROM n a CROSS JOIN n b",
            last = ROOT_OF_ROWS - 1,
            content = "x".repeat(48),
        ))
        .await?;
        let timed = async |text: &str| -> Result<Duration, DbErr> {
            let started = Instant::now();
            run(text).await?;
            Ok(started.elapsed() / rows)
        };
        let scan = match connection.get_database_backend() {
            DbBackend::Postgres => {
                "ALTER TABLE calibration ADD CONSTRAINT calibration_check CHECK (value >= 0)"
            }
            _ => "DELETE FROM calibration WHERE value < 0",
        };
        let scan = timed(scan).await?;
        let index = timed("CREATE INDEX calibration_index ON calibration (value, id)").await?;
        run(&format!("CREATE TABLE calibration_copy {columns}")).await?;
        let copy = timed("INSERT INTO calibration_copy SELECT * FROM calibration").await?;
        let update = timed("UPDATE calibration SET value = value + 1").await?;
        run("DROP TABLE calibration_copy").await?;
        run("DROP TABLE calibration").await?;
        Ok(Self { scan, index, update, copy, rows })
    }

    /// Estimates the duration of a kind of work for this number of rows. It is 0 for work that does not grow.
    pub(super) fn duration(&self, work: Work, rows: i64) -> Duration {
        let rows = u32::try_from(rows.max(0)).unwrap_or(u32::MAX);
        match work {
            Work::Constant => Duration::ZERO,
            Work::Scan => self.scan * rows,
            Work::Index => self.index * rows,
            Work::Update => self.update * rows,
            Work::Copy => self.copy * rows,
        }
    }
}
