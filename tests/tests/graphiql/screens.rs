//! Checks the GraphiQL page on small screens and without a mouse, and its tabs in a desktop window.

use std::time::Duration;

use fantoccini::actions::{InputSource as _, PointerAction, TouchActions};
use fantoccini::key::Key;
use jishu_tests::TestApp;
use serde_json::json;

use super::browser::{Browser, Page};

const PHONES: [(u32, u32); 2] = [(390, 844), (360, 640)];

/// The panes from top to bottom, each with the minimum height in pixels at which a person can use it.
const PANES: &str = "[['.graphiql-query-editor', 220], ['.graphiql-editor-tools', 30], \
    ['.graphiql-editor-tool', 120], ['.graphiql-response', 200]]";

const TABS: [(&str, &str); 12] = [
    ("query", "Catalogue"),
    ("mutation", "Register"),
    ("mutation", "SignIn"),
    ("mutation", "Purchase"),
    ("mutation", "Checkout"),
    ("query", "MyTestCards"),
    ("subscription", "LiveTestCards"),
    ("mutation", "StartTest"),
    ("subscription", "TestClock"),
    ("mutation", "SaveAnswers"),
    ("mutation", "SubmitTest"),
    ("query", "MyProgress"),
];

/// Opens the page on each phone, one after the other.
async fn on_each_phone(walk: impl AsyncFn(&Page)) {
    let app = TestApp::start().await;
    let base = app.url("/");
    for phone in PHONES {
        let Some(browser) = Browser::start(&base).await else { return };
        browser
            .visit_on_phone(phone, async |page| {
                page.goto(&base).await;
                let size = page.script("return [innerWidth, innerHeight]").await;
                assert_eq!(size, json!([phone.0, phone.1]));
                walk(page).await;
                page.assert_no_complaints().await;
            })
            .await;
    }
}

#[tokio::test]
async fn on_a_phone_the_panes_stand_below_each_other() {
    on_each_phone(async |page| {
        page.find(".graphiql-editor-tools button[data-name=variables]").await.click().await.unwrap();
        page.find(".graphiql-editor-tool:not([style*='opacity: 0'])").await;
        let problems = format!(
            "const problems = []; let above = 0; \
             for (const [selector, height] of {PANES}) {{ \
               const box = document.querySelector(selector).getBoundingClientRect(); \
               if (box.top + 1 < above) problems.push(selector + ' begins above the end of the pane before'); \
               if (box.left < 0 || box.right > innerWidth) problems.push(selector + ' is cut off'); \
               if (box.height < height) problems.push(selector + ' is only ' + box.height + ' high'); \
               above = box.bottom; \
             }} \
             const {{ scrollWidth, scrollHeight }} = document.documentElement; \
             if (scrollWidth > innerWidth) problems.push('the page scrolls sideways'); \
             if (scrollHeight > Math.max(above + 16, innerHeight)) problems.push('the page has an empty end'); \
             return problems"
        );
        assert_eq!(page.script(&problems).await, json!([]));

        page.execute().await;
        page.response_line("\"courses\"").await;
        let shown = "(({ top, bottom }) => top >= 0 && bottom <= innerHeight + 1)\
            (document.querySelector('.graphiql-response').getBoundingClientRect())";
        page.until(shown).await;
    })
    .await;
}

#[tokio::test]
async fn on_a_phone_a_finger_reaches_every_button() {
    on_each_phone(async |page| {
        // Skips hidden elements, such as the close buttons of tabs that are not open.
        let covered = "const covered = []; \
            for (const element of document.querySelectorAll('button, input, .graphiql-logo-link')) { \
              if (!element.checkVisibility({ visibilityProperty: true })) continue; \
              element.scrollIntoView({ block: 'center', inline: 'center' }); \
              const { left, top, width, height } = element.getBoundingClientRect(); \
              const hit = document.elementFromPoint(left + width / 2, top + height / 2); \
              if (!element.contains(hit) && !element.disabled) covered.push(element.outerHTML); \
            } \
            return covered";
        assert_eq!(page.script(covered).await, json!([]));

        for (opener, content) in [
            ("Show Documentation Explorer", ".graphiql-doc-explorer-type-name"),
            ("Show History", ".graphiql-history-header"),
            ("Open settings dialog", ".graphiql-dialog-section"),
        ] {
            page.find(&format!("button[aria-label='{opener}']")).await.click().await.unwrap();
            page.find(content).await;
            assert_eq!(page.script(&is_whole(content)).await, json!(true), "{content} is cut off");
        }
    })
    .await;
}

/// Returns a script that scrolls the first element of a selector into view, and returns whether the element is
/// completely on the screen.
fn is_whole(selector: &str) -> String {
    format!(
        "const element = document.querySelector({selector:?}); element.scrollIntoView({{ block: 'center' }}); \
         const {{ left, right, top, bottom }} = element.getBoundingClientRect(); \
         return left >= 0 && right <= innerWidth && top >= 0 && bottom <= innerHeight"
    )
}

#[tokio::test]
async fn on_a_phone_a_finger_scrolls_the_tabs_and_opens_each() {
    on_each_phone(async |page| {
        let second = page.find(".graphiql-tab:nth-child(2)").await;
        let step = Some(Duration::from_millis(100));
        let swipe = TouchActions::new("finger".to_owned())
            .then(PointerAction::MoveToElement { element: second, duration: None, x: 0.0, y: 0.0 })
            .then(PointerAction::Down { button: 0 })
            .then(PointerAction::MoveBy { duration: step, x: -20.0, y: 0.0 })
            .then(PointerAction::MoveBy { duration: step, x: -80.0, y: 0.0 })
            .then(PointerAction::Up { button: 0 });
        page.client.perform_actions(swipe).await.unwrap();
        page.until("document.querySelector('.graphiql-tabs').scrollLeft > 0").await;

        // The first tab is already open, so the test opens it last.
        for (kind, name) in TABS.into_iter().cycle().skip(1).take(TABS.len()) {
            page.choose_tab(kind, name).await;
            // The row of tabs shows the open tab completely, left of the row's fading edge.
            page.until(
                "(() => { const row = document.querySelector('.graphiql-tabs').getBoundingClientRect(); \
                 const tab = document.querySelector('.graphiql-tab-active').getBoundingClientRect(); \
                 return tab.left >= row.left && tab.right <= row.right - 30 })()",
            )
            .await;
            // A comment that is wider than the editor continues in a line without `#`.
            let broken = "const lines = [...document.querySelectorAll('.graphiql-query-editor .view-line')] \
                .map((line) => [parseFloat(line.style.top), line.textContent]).sort(([a], [b]) => a - b); \
                const end = lines.findIndex(([, text]) => !text.startsWith('#')); \
                return end < 0 ? [] : lines.slice(end).filter(([, text]) => text.startsWith('#'))";
            assert_eq!(page.script(broken).await, json!([]), "{name} has a comment that does not fit");
        }
    })
    .await;
}

#[tokio::test]
async fn in_a_window_all_tabs_are_visible() {
    let app = TestApp::start().await;
    let base = app.url("/");
    let Some(browser) = Browser::start(&base).await else { return };
    browser
        .visit(async |page| {
            page.goto(&base).await;
            let visible = "return [...document.querySelectorAll('.graphiql-tab-button')].filter((tab) => { \
                const { left, top, width, height } = tab.getBoundingClientRect(); \
                return tab.contains(document.elementFromPoint(left + width / 2, top + height / 2)) \
              }).map((tab) => tab.textContent)";
            let names: Vec<_> = TABS.iter().map(|(_, name)| name).collect();
            assert_eq!(page.script(visible).await, json!(names));
        })
        .await;
}

#[tokio::test]
async fn the_keyboard_enters_the_editor_with_two_keys_and_leaves_it_with_two() {
    let app = TestApp::start().await;
    let base = app.url("/");
    let Some(browser) = Browser::start(&base).await else { return };
    browser
        .visit(async |page| {
            page.goto(&format!("{base}#query=%7B%20__typename%20%7D")).await;
            page.query_line("contains(., '__typename')").await;
            let [tab, enter, control] = [Key::Tab, Key::Enter, Key::Control].map(char::from);

            page.press(&tab.to_string()).await;
            let link = page.client.active_element().await.unwrap();
            assert_eq!(link.text().await.unwrap(), "Skip to the editor");
            let (left, top, width, height) = link.rectangle().await.unwrap();
            assert!(
                left >= 0.0 && top >= 0.0 && width > 0.0 && height > 0.0,
                "the link is outside the screen"
            );

            page.press(&enter.to_string()).await;
            page.press("#typed").await;
            page.query_line("starts-with(., '#typed')").await;

            page.press(&format!("{control}m")).await;
            page.press(&tab.to_string()).await;
            page.find(".graphiql-execute-button:focus").await;
            page.assert_no_complaints().await;
        })
        .await;
}
