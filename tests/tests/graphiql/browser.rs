//! A browser for a test, and the GraphiQL page in it.

use std::env;
use std::io::{self, BufRead as _, BufReader};
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fantoccini::elements::Element;
use fantoccini::key::Key;
use fantoccini::{Client, ClientBuilder, Locator};
use futures_util::FutureExt as _;
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;

pub(super) async fn post(url: &str, body: &Value) -> Value {
    let answer = reqwest::Client::new().post(url).json(body).send().await.unwrap();
    answer.json().await.unwrap()
}

/// A chromedriver process for one test. Dropping this value ends the process.
pub(super) struct Browser {
    driver: Child,
    /// The standard output of chromedriver. It stays open, because chromedriver may still write to it.
    _output: BufReader<ChildStdout>,
    url: String,
    profile: TempDir,
}

impl Browser {
    /// Starts chromedriver for the page of the server at `base`. Returns `None` if the server has no bundled page, if
    /// there is no chromedriver, or if `JISHU_BROWSER_TESTS` is `off`. If the variable is `required`, panics in the
    /// first two cases.
    pub(super) async fn start(base: &str) -> Option<Self> {
        let required = env::var("JISHU_BROWSER_TESTS").is_ok_and(|value| value == "required");
        let page = reqwest::get(base).await.unwrap().text().await.unwrap();
        if !page.contains("data-graphiql=\"bundled\"") {
            assert!(!required, "the server was built without GraphiQL");
            eprintln!(
                "skipped: the server was built without GraphiQL, and a test does not load it from a CDN"
            );
            return None;
        }
        Self::start_for_any_page()
    }

    /// Starts chromedriver, even if the server was built without GraphiQL. Returns `None` if there is no chromedriver
    /// and `JISHU_BROWSER_TESTS` is not `required`, or if the variable is `off`.
    pub(super) fn start_for_any_page() -> Option<Self> {
        let required = env::var("JISHU_BROWSER_TESTS").is_ok_and(|value| value == "required");
        if env::var("JISHU_BROWSER_TESTS").is_ok_and(|value| value == "off") {
            eprintln!("skipped: JISHU_BROWSER_TESTS is off");
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

    /// Starts chromedriver on a free port. chromedriver takes a free port of one loopback address, and ends if the same
    /// port of the other one is taken. So this function starts chromedriver up to five times.
    fn spawn() -> io::Result<Self> {
        let started = (0..5).find_map(|_| Self::spawn_once().transpose());
        started.unwrap_or_else(|| Err(io::Error::other("the ports that it chose were taken, five times")))
    }

    /// Starts chromedriver. Returns `None` if the port that it chose is taken.
    fn spawn_once() -> io::Result<Option<Self>> {
        let profile = tempfile::tempdir()?;
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut output = BufReader::new(driver.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?);
        let mut printed = String::new();
        loop {
            let mut line = String::new();
            if output.read_line(&mut line)? == 0 {
                let status = driver.wait()?;
                return if printed.contains("port not available") {
                    Ok(None)
                } else {
                    Err(io::Error::other(format!("it ended with {status}: {printed}")))
                };
            }
            if let Some((_, port)) = line.trim_end().trim_end_matches('.').split_once("successfully on port ")
            {
                let url = format!("http://127.0.0.1:{port}");
                return Ok(Some(Self { driver, _output: output, url, profile }));
            }
            printed.push_str(&line);
        }
    }

    /// Opens a desktop window for `walk`. Closes the window even if `walk` panics.
    pub(super) async fn visit(self, walk: impl AsyncFnOnce(&Page)) {
        self.visit_on(json!({}), walk).await;
    }

    /// Opens a window that emulates a phone for `walk`. The size is in CSS pixels. Closes the window even if `walk`
    /// panics.
    pub(super) async fn visit_on_phone(self, (width, height): (u32, u32), walk: impl AsyncFnOnce(&Page)) {
        let metrics = json!({ "width": width, "height": height, "pixelRatio": 1.0, "touch": true });
        self.visit_on(json!({ "mobileEmulation": { "deviceMetrics": metrics } }), walk).await;
    }

    async fn visit_on(self, screen: Value, walk: impl AsyncFnOnce(&Page)) {
        let client = self.connect(screen).await;
        let session = client.session_id().await.unwrap().unwrap();
        let page = Page { client: client.clone(), log: format!("{}/session/{session}/se/log", self.url) };
        let outcome = AssertUnwindSafe(walk(&page)).catch_unwind().await;
        client.close().await.unwrap();
        if let Err(failure) = outcome {
            resume_unwind(failure);
        }
    }

    /// Opens a window with these options of chromedriver, in addition to the options of all windows.
    async fn connect(&self, mut options: Value) -> Client {
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
            // The browser can reach no other name and no other address than 127.0.0.1.
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
            &profile,
        ];
        options["args"] = json!(arguments);
        let capabilities = json!({
            "goog:chromeOptions": options,
            "goog:loggingPrefs": { "browser": "ALL" },
        });
        let Value::Object(capabilities) = capabilities else { unreachable!("it is an object") };
        ClientBuilder::new(HttpConnector::new()).capabilities(capabilities).connect(&self.url).await.unwrap()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // An error means that chromedriver has ended already.
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// The page that is open in the browser.
pub(super) struct Page {
    pub(super) client: Client,
    /// The URL at which chromedriver returns the messages of the browser's console.
    log: String,
}

impl Page {
    pub(super) async fn goto(&self, url: &str) {
        self.client.goto(url).await.unwrap();
        // The editor loads after the page.
        self.find(".graphiql-query-editor .view-line").await;
    }

    pub(super) async fn find(&self, selector: &str) -> Element {
        self.wait_for(Locator::Css(selector)).await
    }

    /// Waits for a line of the response that contains `text`. `text` must not contain spaces, because the editor shows
    /// other space characters.
    pub(super) async fn response_line(&self, text: &str) {
        self.line("graphiql-response", &format!("contains(., '{text}')")).await;
    }

    /// Waits for a line of the query for which `condition` (XPath) is true.
    pub(super) async fn query_line(&self, condition: &str) {
        self.line("graphiql-query-editor", condition).await;
    }

    /// Opens the tab of an operation, and waits until the first line of the operation is on the screen.
    pub(super) async fn open_tab(&self, kind: &str, name: &str) {
        self.choose_tab(kind, name).await;
        self.query_line(&format!("starts-with(., '{kind}') and contains(., '{name}')")).await;
    }

    /// Opens the tab of an operation, and waits until GraphiQL would run this operation.
    pub(super) async fn choose_tab(&self, kind: &str, name: &str) {
        let tab = format!("//*[contains(@class, 'graphiql-tab-button')][normalize-space()='{name}']");
        self.wait_for(Locator::XPath(&tab)).await.click().await.unwrap();
        // GraphiQL reads the name of the operation a moment after the click. Until then, it would run the operation of
        // the previous tab. When GraphiQL reads the name, it stores the query in the session storage.
        let query = format!("{kind} {name}");
        self.until(&format!("(sessionStorage.getItem('graphiql:query') ?? '').includes({query:?})")).await;
    }

    /// Runs the body of a JavaScript function, and returns its result.
    pub(super) async fn script(&self, body: &str) -> Value {
        self.client.execute(body, Vec::new()).await.unwrap()
    }

    /// Waits until the JavaScript expression `condition` is true. The browser evaluates the expression before each
    /// frame.
    pub(super) async fn until(&self, condition: &str) {
        let body = format!(
            "return new Promise((resolve) => {{ \
             const look = () => ({condition}) ? resolve() : requestAnimationFrame(look); look(); }})"
        );
        let met = self.client.execute(&body, Vec::new()).await;
        met.unwrap_or_else(|error| panic!("{condition} does not become true: {error}"));
    }

    /// Presses keys, on the element that has the focus.
    pub(super) async fn press(&self, keys: &str) {
        self.client.active_element().await.unwrap().send_keys(keys).await.unwrap();
    }

    /// Types a text into the first empty string of the query.
    pub(super) async fn fill(&self, text: &str) {
        let empty =
            "//*[contains(@class, 'graphiql-query-editor')]//*[@class='view-line'][contains(., '\"\"')]";
        let line = self.wait_for(Locator::XPath(empty)).await;
        let content = line.prop("textContent").await.unwrap().unwrap();
        let (_, behind) = content.split_once("\"\"").unwrap();
        // A click reaches the line. Only the keyboard reliably reaches the place between the quotation marks.
        let to_the_quotes = behind.chars().count() + 1;
        let keys =
            format!("{}{}", char::from(Key::End), String::from(char::from(Key::Left)).repeat(to_the_quotes));
        line.click().await.unwrap();
        self.press(&format!("{keys}{text}")).await;
        self.query_line(&format!("contains(., '\"{text}\"')")).await;
    }

    /// Returns the first id of this type in the response.
    pub(super) async fn id(&self, typename: &str) -> String {
        let prefix = URL_SAFE_NO_PAD.encode(format!("{typename}:"));
        // The last character of the prefix in base64 also encodes bits of the number after the colon, so it is cut off.
        let prefix = &prefix[..prefix.len() - 1];
        self.response_line(prefix).await;
        let response = self.response().await;
        let quoted = response.split('"').find(|part| part.starts_with(prefix));
        quoted.unwrap_or_else(|| panic!("no {typename} in {response}")).to_owned()
    }

    async fn line(&self, pane: &str, condition: &str) {
        let pane = format!("//*[contains(concat(' ', @class, ' '), ' {pane} ')]");
        let line = format!("{pane}//*[@class='view-line'][{condition}]");
        let found =
            self.client.wait().at_most(Duration::from_secs(30)).for_element(Locator::XPath(&line)).await;
        if let Err(error) = found {
            let shown = self.client.find(Locator::XPath(&pane)).await.unwrap().text().await.unwrap();
            panic!("no line with {condition}: {error}; the pane shows:\n{shown}");
        }
    }

    async fn wait_for(&self, locator: Locator<'_>) -> Element {
        let found = self.client.wait().at_most(Duration::from_secs(30)).for_element(locator).await;
        found.unwrap_or_else(|error| panic!("no {locator:?} on the page: {error}"))
    }

    pub(super) async fn execute(&self) {
        self.find(".graphiql-execute-button").await.click().await.unwrap();
    }

    pub(super) async fn response(&self) -> String {
        self.find(".graphiql-response").await.text().await.unwrap()
    }

    pub(super) async fn token(&self) -> String {
        self.find("#access-token").await.prop("value").await.unwrap().unwrap()
    }

    /// Asserts that the page requested nothing from another host than the server.
    pub(super) async fn assert_nothing_left(&self, base: &str) {
        let script = "return performance.getEntriesByType('resource').map((entry) => entry.name)";
        let entries = self.client.execute(script, Vec::new()).await.unwrap();
        let addresses: Vec<_> = entries.as_array().unwrap().iter().filter_map(Value::as_str).collect();
        assert!(!addresses.is_empty());
        for address in addresses {
            assert!(
                address.starts_with(base) || address.starts_with("data:"),
                "the page requested {address} from another host"
            );
        }
    }

    /// Asserts that the console shows no error of a script or of the content security policy, and no missing file.
    pub(super) async fn assert_no_complaints(&self) {
        let entries = post(&self.log, &json!({ "type": "browser" })).await;
        let entries = entries["value"].as_array().unwrap_or_else(|| panic!("no log in {entries}"));
        let errors: Vec<String> = entries
            .iter()
            .filter(|entry| entry["level"] == "SEVERE")
            // The message is cut, because it may contain a whole font.
            .map(|entry| entry["message"].to_string().chars().take(300).collect())
            .collect();
        assert!(errors.is_empty(), "{errors:#?}");
    }
}
