//! Deletions of accounts that are refused, and deletions by admins and operators.

use std::sync::Arc;

use jishu_entity::user::Role;
use jishu_tests::{TestApp, on_each_database};
use serde_json::{Value, json};

use super::{MARK, PASSWORD, delete, dump, mentions, row_of, send};
use crate::command_line::{fail, jishu, succeed};

on_each_database!(
    a_refused_deletion_changes_nothing,
    only_admins_delete_others,
    the_operator_deletes_and_repeats_deletions,
);

async fn a_refused_deletion_changes_nothing(app: Arc<TestApp>) {
    let learner = app.learner("Asha").await;
    let before = dump(&app).await.len();
    let wrong = delete(&learner, "wrong horse battery").await;
    assert_eq!(wrong.text("/deleteAccount/userErrors/0/code"), "INVALID_CREDENTIALS");
    assert_eq!(*wrong.at("/deleteAccount/userErrors/0/path"), json!(["password"]));
    for token in ["", "jlt_nonsense"] {
        let arguments = format!("(token: \"{token}\")");
        let refused = send(&app.anonymous(), "confirmAccountDeletion", &arguments, "deleted").await;
        assert_eq!(refused["userErrors"][0]["code"], "LINK_INVALID");
    }
    let document = "mutation { deleteAccount(password: \"x\") { deleted } }";
    assert_eq!(app.anonymous().fail(document, Value::Null).await.0, "UNAUTHENTICATED");
    assert_eq!(dump(&app).await.len(), before);
    assert!(!app.anonymous().login("asha@example.com", PASSWORD).await.is_refused());
}

async fn only_admins_delete_others(app: Arc<TestApp>) {
    let learner = app.learner("Asha").await;
    let id = learner.run("{ viewer { id } }").await.text("/viewer/id").to_owned();
    let (support, admin) = (app.staff("Sam", Role::Support).await, app.staff("Ada", Role::Admin).await);
    let document = format!("mutation {{ deleteUser(userId: \"{id}\") {{ deleted }} }}");
    assert_eq!(support.fail(&document, Value::Null).await.0, "FORBIDDEN");
    let own = admin.run("{ viewer { id } }").await.text("/viewer/id").to_owned();
    let delete_user = async |id: &str| {
        let payload = send(&admin, "deleteUser", &format!("(userId: \"{id}\")"), "deleted").await;
        payload["userErrors"][0]["code"].as_str().unwrap_or("DELETED").to_owned()
    };
    assert_eq!(delete_user(&own).await, "OWN_ACCOUNT");
    assert_eq!(delete_user("nonsense").await, "USER_NOT_FOUND");
    assert_eq!(delete_user(&id).await, "DELETED");
    assert_eq!(delete_user(&id).await, "USER_NOT_FOUND");
    // A deleted account can neither be activated nor get another role.
    for mutation in ["setUserStatus(userId: $id, status: ACTIVE)", "setUserRole(userId: $id, role: ADMIN)"] {
        let document = format!("mutation ($id: ID!) {{ {mutation} {{ userErrors {{ code }} }} }}");
        let answer = admin.run_with(&document, json!({ "id": id })).await;
        assert!(answer.body.to_string().contains("USER_NOT_FOUND"), "{mutation}: {:#}", answer.body);
    }
    let seen =
        "query ($id: ID!) { node(id: $id) { ... on User { name deletedAt purchases { totalCount } } } }";
    let seen = support.run_with(seen, json!({ "id": id })).await;
    assert_eq!(seen.text("/node/name"), "Deleted account");
    assert!(seen.at("/node/deletedAt").is_string());
    let actor = "SELECT actor_id FROM audit_events WHERE action = 'user.deleted'";
    assert_eq!(app.number(actor).await, row_of(&app, "ada@example.com").await);
}

async fn the_operator_deletes_and_repeats_deletions(app: Arc<TestApp>) {
    let folder = tempfile::tempdir().expect("a folder");
    let command = |arguments: &[&str]| {
        let all = [&["user"], arguments, &["--database-url", &app.database_url]].concat();
        jishu(folder.path(), &all)
    };
    app.learner("Asha").await;
    let email = format!("{MARK}@example.com");
    app.execute(&format!("UPDATE users SET email = '{email}' WHERE name = 'Asha'")).await;
    let user = row_of(&app, &email).await;
    let restored = format!(
        "UPDATE users SET email = '{email}', name = 'Asha', status = 'active', deleted_at = NULL WHERE id = {user}"
    );
    assert_eq!(
        succeed(command(&["set-birth-year", "--email", &email, "--year", "2001"])),
        format!("set the year of birth of user {user}\n")
    );
    assert!(
        fail(command(&["set-birth-year", "--email", &email, "--year", "1899"])).contains("year of birth")
    );
    assert_eq!(succeed(command(&["delete", &email])), format!("deleted user {user}\n"));
    assert_eq!(mentions(&app, MARK).await, Vec::<String>::new());
    assert_eq!(succeed(command(&["list"])), "");
    let list = succeed(command(&["list-deleted"]));
    assert!(list.starts_with(&format!("{user}\t")) && list.lines().count() == 1, "{list}");

    // Restores the row of the user, as a backup would. `user delete --from` deletes this user again, and nobody else.
    let file = folder.path().join("deleted.tsv");
    std::fs::write(&file, format!("{list}{user}\t2001-01-01T00:00:00Z\n999999\t2001-01-01T00:00:00Z\n"))
        .expect("a file");
    let file = file.to_str().expect("a path");
    app.execute(&restored).await;
    let repeated = succeed(command(&["delete", "--from", file]));
    assert_eq!(
        repeated,
        format!(
            "deleted user {user}\ndeleted: 1; not deleted: 2 (deleted before, or no account has the id and the time of registration)\n"
        )
    );
    assert_eq!(mentions(&app, MARK).await, Vec::<String>::new());
    let repeated = succeed(command(&["delete", "--from", file]));
    assert_eq!(
        repeated,
        "deleted: 0; not deleted: 3 (deleted before, or no account has the id and the time of registration)\n"
    );
    std::fs::write(file, "Asha\n").expect("a file");
    assert!(fail(command(&["delete", "--from", file])).contains("line 1"));
    assert!(fail(command(&["delete", &email])).contains("jishu user list"));
    app.learner("Binod").await;
    app.execute("UPDATE users SET role = 'admin' WHERE name = 'Binod'").await;
    assert!(fail(command(&["delete", "binod@example.com"])).contains("last active admin"));
}
