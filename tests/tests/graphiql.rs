//! GraphiQL, as a person meets it: in a browser.
//!
//! Needs Chromium and its chromedriver. Without them the test says so and passes, unless
//! `JISHU_BROWSER_TESTS=required`. So it does for a server whose page comes from a CDN.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::env;
use std::io::{self, BufRead as _, BufReader};
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use fantoccini::elements::Element;
use fantoccini::{Client, ClientBuilder, Locator};
use futures_util::FutureExt as _;
use hyper_util::client::legacy::connect::HttpConnector;
use jishu_tests::TestApp;
use serde_json::{Value, json};
use tempfile::TempDir;

#[tokio::test]
async fn a_newcomer_runs_the_first_query_and_then_one_with_a_token() {
    let app = TestApp::start().await;
    let base = app.url("/");
    let Some(browser) = Browser::start(&base).await else { return };
    let (email, token) = register(&app.url("/graphql")).await;

    browser
        .visit(async |page| {
            page.goto(&base).await;
            assert_eq!(page.find("label[for=access-token]").await.text().await.unwrap(), "Access token");

            page.execute().await;
            page.response_line("\"courses\"").await;
            assert!(!page.response().await.contains("\"errors\""));

            page.find("button[aria-label='Show Documentation Explorer']").await.click().await.unwrap();
            page.find(".graphiql-doc-explorer-content .graphiql-doc-explorer-type-name").await;

            page.find("#access-token").await.send_keys(&token).await.unwrap();
            page.goto(&format!("{base}#query=%7B%20viewer%20%7B%20email%20%7D%20%7D")).await;
            page.query_line("contains(., 'viewer')").await;
            page.execute().await;
            page.response_line(&email).await;

            page.find("button[aria-label^='Prettify']").await.click().await.unwrap();
            page.query_line("contains(., 'email') and not(contains(., 'viewer'))").await;

            page.assert_nothing_left(&base).await;
            page.assert_no_complaints().await;
        })
        .await;
}

#[tokio::test]
async fn a_token_comes_by_the_address_or_by_signing_in_and_does_not_stay_in_the_address() {
    let app = TestApp::start().await;
    let base = app.url("/");
    let Some(browser) = Browser::start(&base).await else { return };
    let (email, token) = register(&app.url("/graphql")).await;

    browser
        .visit(async |page| {
            page.goto(&format!("{base}#token={token}&query=%7Bviewer%7Bemail%7D%7D")).await;
            page.execute().await;
            page.response_line(&email).await;
            assert_eq!(page.client.current_url().await.unwrap().as_str(), base);

            page.find(".token-bar button").await.click().await.unwrap();
            assert_eq!(page.token().await, "");

            let login = format!(
                "mutation{{login(input:{{email:{email:?},password:{PASSWORD:?}}}){{tokens{{accessToken}}}}}}"
            );
            page.goto(&format!("{base}#query={}", login.replace('%', "%25"))).await;
            page.query_line("contains(., 'login')").await;
            page.execute().await;
            page.response_line("\"accessToken\"").await;
            assert_ne!(page.token().await, "");

            page.assert_nothing_left(&base).await;
            page.assert_no_complaints().await;
        })
        .await;
}

#[tokio::test]
async fn cards_bought_in_one_window_arrive_at_the_subscription_of_another() {
    let app = TestApp::start().await;
    let course = app.course(&["Physics"]).create(&app).await;
    let base = app.url("/");
    let Some(browser) = Browser::start(&base).await else { return };
    let (_, token) = register(&app.url("/graphql")).await;

    browser
        .visit(async |page| {
            let subscription = "subscription{mockTestAttemptChanged{testNumber,subject{name}}}";
            page.goto(&format!("{base}#token={token}&query={subscription}")).await;
            page.query_line("contains(., 'mockTestAttemptChanged')").await;
            page.execute().await;
            page.find(".graphiql-execute-button[aria-label^='Stop']").await;
            let watching = page.client.window().await.unwrap();

            let shopping = page.client.new_window(true).await.unwrap().handle;
            page.client.switch_to_window(shopping).await.unwrap();
            let purchase = format!(
                "mutation{{purchase(input:{{courseId:{:?},purchaseType:SINGLE_SUBJECT,subjectIds:[{:?}]}})\
                 {{outcome,testCardsCreated}}}}",
                course.id, course.subjects[0]
            );
            page.goto(&format!("{base}#token={token}&query={purchase}")).await;
            page.query_line("contains(., 'purchase')").await;
            page.execute().await;
            page.response_line("\"CREATED\"").await;
            page.assert_no_complaints().await;

            // Each card replaces the one before it.
            page.client.switch_to_window(watching).await.unwrap();
            page.response_line("\"Physics\"").await;
            page.response_line("50").await;
            page.find(".graphiql-execute-button[aria-label^='Stop']").await.click().await.unwrap();
            page.find(".graphiql-execute-button[aria-label^='Execute']").await;
            page.assert_nothing_left(&base).await;
            page.assert_no_complaints().await;
        })
        .await;
}

const PASSWORD: &str = "correct horse battery staple";

/// Makes an account over HTTP: its e-mail address, and an access token.
async fn register(endpoint: &str) -> (String, String) {
    let email = "asha@example.com";
    let request = json!({
        "query": "mutation ($input: RegisterInput!) { register(input: $input) { tokens { accessToken } } }",
        "variables": { "input": { "name": "Asha", "email": email, "password": PASSWORD } },
    });
    let answer: Value = post(endpoint, &request).await;
    let token = answer["data"]["register"]["tokens"]["accessToken"].as_str();
    (email.to_owned(), token.unwrap_or_else(|| panic!("no token in {answer}")).to_owned())
}

async fn post(url: &str, body: &Value) -> Value {
    let answer = reqwest::Client::new().post(url).json(body).send().await.unwrap();
    answer.json().await.unwrap()
}

/// A chromedriver of this test's own, which ends with it.
struct Browser {
    driver: Child,
    /// Open for as long as chromedriver may write to it.
    _output: BufReader<ChildStdout>,
    url: String,
    profile: TempDir,
}

impl Browser {
    /// None where there is nothing to test, or nothing to test it with.
    async fn start(base: &str) -> Option<Self> {
        let required = env::var("JISHU_BROWSER_TESTS").is_ok_and(|value| value == "required");
        let page = reqwest::get(base).await.unwrap().text().await.unwrap();
        if !page.contains("data-graphiql=\"bundled\"") {
            assert!(!required, "the server was built without GraphiQL");
            eprintln!(
                "skipped: the server was built without GraphiQL, and a test does not load it from a CDN"
            );
            return None;
        }
        match Self::spawn() {
            Ok(browser) => Some(browser),
            Err(error) if error.kind() == io::ErrorKind::NotFound && !required => {
                eprintln!("skipped: there is no chromedriver");
                None
            }
            Err(error) => panic!("chromedriver does not start: {error}"),
        }
    }

    fn spawn() -> io::Result<Self> {
        // Port 0: it takes a free one and says which.
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut output = BufReader::new(driver.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?);
        let port = loop {
            let mut line = String::new();
            if output.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if let Some((_, port)) = line.trim_end().trim_end_matches('.').split_once("successfully on port ")
            {
                break port.to_owned();
            }
        };
        let profile = tempfile::tempdir()?;
        Ok(Self { driver, _output: output, url: format!("http://127.0.0.1:{port}"), profile })
    }

    /// Opens a window for `walk`, and closes it also when `walk` fails.
    async fn visit(self, walk: impl AsyncFnOnce(&Page)) {
        let client = self.connect().await;
        let session = client.session_id().await.unwrap().unwrap();
        let page = Page { client: client.clone(), log: format!("{}/session/{session}/se/log", self.url) };
        let outcome = AssertUnwindSafe(walk(&page)).catch_unwind().await;
        client.close().await.unwrap();
        if let Err(failure) = outcome {
            resume_unwind(failure);
        }
    }

    async fn connect(&self) -> Client {
        let profile = format!("--user-data-dir={}", self.profile.path().display());
        let arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--window-size=1280,900",
            // No other name or address has an answer, for the page's workers neither.
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
            &profile,
        ];
        let capabilities = json!({
            "goog:chromeOptions": { "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL" },
        });
        let Value::Object(capabilities) = capabilities else { unreachable!("it is an object") };
        ClientBuilder::new(HttpConnector::new()).capabilities(capabilities).connect(&self.url).await.unwrap()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// The open page.
struct Page {
    client: Client,
    /// Where chromedriver hands out the console.
    log: String,
}

impl Page {
    async fn goto(&self, url: &str) {
        self.client.goto(url).await.unwrap();
        // The editor comes after the page, in pieces.
        self.find(".graphiql-query-editor .view-line").await;
    }

    async fn find(&self, selector: &str) -> Element {
        self.wait_for(Locator::Css(selector)).await
    }

    /// A line of the response that contains `text`, which has no spaces: the editor does not write plain ones.
    async fn response_line(&self, text: &str) {
        self.line("graphiql-response", &format!("contains(., '{text}')")).await;
    }

    /// A line of the query of which `condition` (XPath) is true.
    async fn query_line(&self, condition: &str) {
        self.line("graphiql-query-editor", condition).await;
    }

    async fn line(&self, pane: &str, condition: &str) {
        let pane = format!("//*[contains(concat(' ', @class, ' '), ' {pane} ')]");
        let line = format!("{pane}//*[@class='view-line'][{condition}]");
        self.wait_for(Locator::XPath(&line)).await;
    }

    async fn wait_for(&self, locator: Locator<'_>) -> Element {
        let found = self.client.wait().at_most(Duration::from_secs(30)).for_element(locator).await;
        found.unwrap_or_else(|error| panic!("no {locator:?} on the page: {error}"))
    }

    async fn execute(&self) {
        self.find(".graphiql-execute-button").await.click().await.unwrap();
    }

    async fn response(&self) -> String {
        self.find(".graphiql-response").await.text().await.unwrap()
    }

    async fn token(&self) -> String {
        self.find("#access-token").await.prop("value").await.unwrap().unwrap()
    }

    /// That the page asked no other host for anything.
    async fn assert_nothing_left(&self, base: &str) {
        let script = "return performance.getEntriesByType('resource').map((entry) => entry.name)";
        let entries = self.client.execute(script, Vec::new()).await.unwrap();
        let addresses: Vec<_> = entries.as_array().unwrap().iter().filter_map(Value::as_str).collect();
        assert!(!addresses.is_empty());
        for address in addresses {
            assert!(address.starts_with(base) || address.starts_with("data:"), "{address} is elsewhere");
        }
    }

    /// That the console has no error: a script's, a refusal of the content security policy, a missing file.
    async fn assert_no_complaints(&self) {
        let entries = post(&self.log, &json!({ "type": "browser" })).await;
        let entries = entries["value"].as_array().unwrap_or_else(|| panic!("no log in {entries}"));
        let errors: Vec<String> = entries
            .iter()
            .filter(|entry| entry["level"] == "SEVERE")
            // A message may quote a whole font.
            .map(|entry| entry["message"].to_string().chars().take(300).collect())
            .collect();
        assert!(errors.is_empty(), "{errors:#?}");
    }
}
