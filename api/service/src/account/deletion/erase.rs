//! Erases personal data from the tables when an account is deleted. The tests in `personal_data` list every column of
//! every table, and fail if a new column is not listed.

use chrono::{DateTime, Utc};
use jishu_entity::user::{Role, UserStatus};
use jishu_entity::{
    MockTestAttemptId, PurchaseId, TestSessionId, UserId, account_link, allowance, cart_item, extra_time,
    guardian_consent, mock_test_attempt, oidc_identity, oidc_login, outbox_message, purchase, purchase_grant,
    recovery_code, refresh_token, refund, second_factor, sign_in_challenge, sign_in_network, test_answer,
    test_session, topic_total, user,
};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveEnum, ColumnTrait, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait, QueryFilter,
    QuerySelect,
};

use crate::database::{MAX_IDS_PER_STATEMENT, sql};

/// The name that a deleted account gets.
const DELETED_NAME: &str = "Deleted account";
/// The text that replaces a text about the person whose account was deleted.
pub(super) const ERASED_TEXT: &str = "Erased with the account.";

/// The columns with reasons that staff wrote: the table, its key column, and the column of the reason.
const STAFF_TEXTS: [(&str, &str, &str); 4] = [
    ("refunds", "id", "reason"),
    ("purchase_grants", "purchase_id", "reason"),
    ("allowances", "id", "reason"),
    ("question_corrections", "id", "reason"),
];

/// Returns the LIKE pattern, with the escape character `!`, of texts in small letters that contain an e-mail address.
pub(super) fn containing(email: &str) -> String {
    format!("%{}%", email.replace('!', "!!").replace('%', "!%").replace('_', "!_"))
}

/// Tells whether a text contains an e-mail address as a whole, and not only as a part of a longer address.
pub(super) fn names(text: &str, email: &str) -> bool {
    let text = text.to_lowercase();
    let is_before = |character: char| character.is_alphanumeric() || "._%+-".contains(character);
    text.match_indices(email).any(|(at, _)| {
        let mut after = text[at + email.len()..].chars();
        let goes_on = match after.next() {
            Some('.' | '-') => after.next().is_some_and(char::is_alphanumeric),
            next => next.is_some_and(char::is_alphanumeric),
        };
        !goes_on && !text[..at].chars().next_back().is_some_and(is_before)
    })
}

/// Deletes the rows about the person that no sum of the books needs: sessions, links, mails, the cart, the second
/// factor, identities, the consent, answers, topic totals, allowances and extra time.
pub(super) async fn rows(transaction: &DatabaseTransaction, user: UserId) -> Result<(), DbErr> {
    macro_rules! delete_of_user {
        ($($table:ident),+ $(,)?) => {$(
            let delete = $table::Entity::delete_many().filter($table::Column::UserId.eq(user));
            delete.exec(transaction).await?;
        )+};
    }
    delete_of_user!(
        refresh_token,
        sign_in_network,
        account_link,
        outbox_message,
        cart_item,
        allowance,
        guardian_consent,
        topic_total,
        second_factor,
        recovery_code,
        sign_in_challenge,
        oidc_identity,
        oidc_login,
    );
    // MariaDB would read the whole table of answers for a DELETE with a subquery. So the ids of the sittings are read
    // first.
    let sittings: Vec<TestSessionId> = test_session::Entity::of(user)
        .select_only()
        .column(test_session::Column::Id)
        .into_tuple()
        .all(transaction)
        .await?;
    for ids in sittings.chunks(MAX_IDS_PER_STATEMENT) {
        let ids = ids.iter().copied();
        let delete = test_answer::Entity::delete_many().filter(test_answer::Column::SessionId.is_in(ids));
        delete.exec(transaction).await?;
    }
    let cards: Vec<MockTestAttemptId> = mock_test_attempt::Entity::of(user)
        .select_only()
        .column(mock_test_attempt::Column::Id)
        .into_tuple()
        .all(transaction)
        .await?;
    for ids in cards.chunks(MAX_IDS_PER_STATEMENT) {
        let ids = ids.iter().copied();
        let delete =
            extra_time::Entity::delete_many().filter(extra_time::Column::MockTestAttemptId.is_in(ids));
        delete.exec(transaction).await?;
    }
    Ok(())
}

/// Replaces the reasons that staff wrote for the refunds and the granted purchases of the person. Also replaces each
/// other reason that contains the e-mail address of the person.
pub(super) async fn texts(transaction: &DatabaseTransaction, user: UserId, email: &str) -> Result<(), DbErr> {
    refund::Entity::update_many()
        .col_expr(refund::Column::Reason, Expr::value(ERASED_TEXT))
        .filter(refund::Column::UserId.eq(user))
        .exec(transaction)
        .await?;
    let purchases: Vec<PurchaseId> = purchase::Entity::of(user)
        .select_only()
        .column(purchase::Column::Id)
        .into_tuple()
        .all(transaction)
        .await?;
    for ids in purchases.chunks(MAX_IDS_PER_STATEMENT) {
        purchase_grant::Entity::update_many()
            .col_expr(purchase_grant::Column::Reason, Expr::value(ERASED_TEXT))
            .filter(purchase_grant::Column::PurchaseId.is_in(ids.iter().copied()))
            .exec(transaction)
            .await?;
    }
    let backend = transaction.get_database_backend();
    let pattern = containing(email);
    for (table, key, column) in STAFF_TEXTS {
        let select = format!("SELECT {key}, {column} FROM {table} WHERE LOWER({column}) LIKE ? ESCAPE '!'");
        let found = transaction.query_all_raw(sql(backend, &select, [pattern.as_str().into()])).await?;
        for row in found {
            let (id, text): (i64, String) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
            if !names(&text, email) {
                continue;
            }
            let update = format!("UPDATE {table} SET {column} = ? WHERE {key} = ?");
            transaction.execute_raw(sql(backend, &update, [ERASED_TEXT.into(), id.into()])).await?;
        }
    }
    Ok(())
}

/// Replaces the personal data in the row of the account, and deactivates the account. The address of the account
/// becomes `deleted:` and its id. Nobody can register with that text, because it is not an e-mail address.
pub(super) async fn account(
    transaction: &DatabaseTransaction,
    user: UserId,
    now: DateTime<Utc>,
) -> Result<(), DbErr> {
    user::Entity::update_many()
        .col_expr(user::Column::Name, Expr::value(DELETED_NAME))
        .col_expr(user::Column::Email, Expr::value(format!("deleted:{user}")))
        .col_expr(user::Column::PasswordHash, Expr::value(""))
        .col_expr(user::Column::Role, Expr::value(Role::Learner.to_value()))
        .col_expr(user::Column::Status, Expr::value(UserStatus::Deactivated.to_value()))
        .col_expr(user::Column::EmailVerifiedAt, Expr::value(None::<DateTime<Utc>>))
        .col_expr(user::Column::BirthYear, Expr::value(None::<i32>))
        .col_expr(user::Column::DeletedAt, Expr::value(now))
        .filter(user::Column::Id.eq(user))
        .exec(transaction)
        .await
        .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_not_a_part_of_a_longer_one() {
        let names = |text| names(text, "a@example.com");
        for text in
            ["a@example.com", "By A@Example.com.", "(a@example.com)", "{\"because\":\"a@example.com\"}"]
        {
            assert!(names(text), "{text}");
        }
        for text in ["asha@example.com", "a.a@example.com", "a@example.com.au", "a@example.company", ""] {
            assert!(!names(text), "{text}");
        }
        assert!(names("Not asha@example.com but a@example.com"));
    }
}
