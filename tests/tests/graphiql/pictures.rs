//! Shows the pictures of a sitting on a page of another origin than the server.

use axum::Router;
use axum::response::Html;
use axum::routing::get;
use jishu_entity::user::Role;
use jishu_tests::{TestApp, base64, png};
use tokio::net::TcpListener;

use super::browser::Browser;

/// The start of a page with the Content-Security-Policy that a frontend needs. The policy allows pictures of the API,
/// and no script in the text of a question.
const PAGE: &str = "<!DOCTYPE html><meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src API\">";

/// Serves a page with this body at an origin of its own. Returns the URL of the page.
async fn page(api: &str, body: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    // A server with `--public-url` writes absolute addresses of pictures. This server has no fixed port, so the test
    // makes the addresses absolute.
    let body = body.replace("\"/media/", &format!("\"{api}/media/"));
    let html = format!("{}{body}", PAGE.replace("API", api));
    let routes = Router::new().route("/", get(|| async move { Html(html) }));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    url
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_another_origin_shows_the_pictures_of_a_sitting_and_its_review() {
    let Some(browser) = Browser::start_for_any_page() else { return };
    let app = TestApp::start().await;
    let course = app.course(&["Physics"]).create(&app).await;
    let author = app.staff("Meera", Role::Author).await;
    let img = |mark: &str| {
        let data = format!("data:image/png;base64,{}", base64(&png(mark)));
        format!("<img src=\"{data}\"/>").replace(':', "\\:").replace('=', "\\=")
    };
    let text = format!(
        "[html]<p>Which?</p>{} {{={} ~{} ####See {}}}\n",
        img("stem"),
        img("right"),
        img("wrong"),
        img("why")
    );
    assert_eq!(author.import(&course.subjects[0], &text).await.counts(), [1, 0, 0, 0]);
    app.execute("UPDATE subjects SET questions_per_test = 1, review_policy = 'after_sitting'").await;
    app.services.catalog.reload().await.unwrap();
    let learner = app.staff("Asha", Role::Learner).await;
    let card = app.cards(&learner, &course).await.remove(0);
    let started = learner.start_session(&card).await;
    let over = learner.submit_session(started.id(), None).await;
    let question = &over.questions()[0];
    let explanation = question.explanation.clone().unwrap();
    let options: String = question.options.iter().map(|option| option.text.as_str()).collect();
    let url =
        page(app.url("").trim_end_matches('/'), &[question.stem.as_str(), &options, &explanation].concat())
            .await;
    browser
        .visit(async |page| {
            page.client.goto(&url).await.unwrap();
            page.until("document.readyState === 'complete'").await;
            let widths = page.script("return [...document.images].map((image) => image.naturalWidth)").await;
            assert_eq!(widths, serde_json::json!([1, 1, 1, 1]));
            page.assert_no_complaints().await;
        })
        .await;
}
