//! The tabs of the page for authors, for support and for admins.

use jishu_entity::user::Role;
use jishu_service::demo;
use jishu_tests::TestApp;
use serde_json::json;

use super::browser::Browser;

const OF_AUTHORS: [&str; 4] = ["EditSubject", "QuestionBank", "ImportQuestions", "TestSettings"];
const OF_SUPPORT: [&str; 3] = ["People", "Learner", "GrantExtraTime"];
const OF_ADMINS: [&str; 3] = ["Sales", "AuditTrail", "SetUserRole"];
/// The tabs that follow the tabs of each role.
const OF_EVERYBODY: [&str; 2] = ["Catalogue", "SignIn"];

#[tokio::test]
async fn the_link_of_each_account_of_staff_opens_its_tabs() {
    let app = TestApp::start().await;
    demo::seed(&app.services).await.unwrap();
    let base = app.url("/");
    let of_admins = [&OF_ADMINS[..], &OF_SUPPORT, &OF_AUTHORS].concat();
    for (name, role, tabs) in [
        ("Ann", Role::Author, &OF_AUTHORS[..]),
        ("Sam", Role::Support, &OF_SUPPORT),
        ("Ada", Role::Admin, &of_admins),
    ] {
        let Some(browser) = Browser::start(&base).await else { return };
        let staff = app.staff(name, role).await;
        browser
            .visit(async |page| {
                page.goto(&format!("{base}#token={}", staff.token())).await;
                let shown = "return [...document.querySelectorAll('.graphiql-tab-button')].map((tab) => tab.textContent)";
                assert_eq!(page.script(shown).await, json!([tabs, &OF_EVERYBODY].concat()));
                match role {
                    Role::Author => {
                        page.open_tab("query", "Catalogue").await;
                        page.execute().await;
                        let subject = page.id("Subject").await;
                        page.open_tab("query", "QuestionBank").await;
                        page.fill(&subject).await;
                        page.execute().await;
                        page.response_line("\"externalId\"").await;
                        page.open_tab("mutation", "ImportQuestions").await;
                        page.fill(&subject).await;
                        page.execute().await;
                        page.response_line("\"createdCount\"").await;
                    }
                    Role::Support => {
                        page.execute().await;
                        page.response_line("\"totalCount\"").await;
                        page.open_tab("query", "Learner").await;
                        page.execute().await;
                        page.response_line("\"testCards\"").await;
                    }
                    _ => {
                        page.execute().await;
                        page.response_line("\"timeZone\"").await;
                        page.open_tab("query", "AuditTrail").await;
                        page.execute().await;
                        page.response_line("\"actor\"").await;
                    }
                }
                page.assert_nothing_left(&base).await;
                page.assert_no_complaints().await;
            })
            .await;
    }
    // The tab ImportQuestions only checks the file, so no question was stored.
    assert_eq!(app.number("SELECT COUNT(*) FROM questions WHERE external_id = 'capital-1'").await, 0);
}
