//! A learner buys, sits and submits a test of the demo with the tabs of the page.

use jishu_service::demo;
use jishu_tests::TestApp;

use super::browser::Browser;
use super::register;

#[tokio::test]
async fn the_tabs_lead_from_the_catalogue_to_the_result_of_a_test() {
    let app = TestApp::start().await;
    demo::seed(&app.services).await.unwrap();
    let base = app.url("/");
    let Some(browser) = Browser::start(&base).await else { return };
    let (_, token) = register(&app.url("/graphql")).await;

    browser
        .visit(async |page| {
            page.goto(&format!("{base}#token={token}")).await;
            page.execute().await;
            let (course, subject) = (page.id("Course").await, page.id("Subject").await);

            page.open_tab("mutation", "Purchase").await;
            page.fill(&course).await;
            page.fill(&subject).await;
            page.execute().await;
            page.response_line("\"CREATED\"").await;

            page.open_tab("query", "MyTestCards").await;
            page.execute().await;
            let card = page.id("MockTestAttempt").await;

            page.open_tab("mutation", "StartTest").await;
            page.fill(&card).await;
            page.execute().await;
            let (session, option) = (page.id("TestSession").await, page.id("Option").await);
            page.response_line("\"stem\"").await;

            page.open_tab("subscription", "TestClock").await;
            page.fill(&session).await;
            page.execute().await;
            page.response_line("\"IN_PROGRESS\"").await;
            page.find(".graphiql-execute-button[aria-label^='Stop']").await.click().await.unwrap();
            page.find(".graphiql-execute-button[aria-label^='Execute']").await;

            page.open_tab("mutation", "SaveAnswers").await;
            page.fill(&session).await;
            page.fill(&option).await;
            page.execute().await;
            page.response_line("\"savedAt\"").await;

            page.open_tab("mutation", "SubmitTest").await;
            page.fill(&session).await;
            page.execute().await;
            page.response_line("\"SUBMITTED\"").await;
            page.response_line("\"100.0000000\"").await;

            page.open_tab("query", "MyProgress").await;
            page.execute().await;
            page.response_line("\"testsTaken\"").await;
            page.response_line("\"averagePercentage\"").await;
            page.assert_nothing_left(&base).await;
            page.assert_no_complaints().await;
        })
        .await;
    // The database has one submitted sitting, with nine unanswered questions.
    let taken = "SELECT COUNT(*) FROM test_sessions WHERE status = 'submitted' AND unanswered = 9";
    assert_eq!(app.number(taken).await, 1);
}
