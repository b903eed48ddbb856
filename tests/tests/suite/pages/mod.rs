//! Lists that are read page by page.

mod arguments;
mod cursors;
mod order;
mod statements;

use jishu_tests::{CardsRequest, Client, TestApp, TestCourse};

/// Reads the whole list of cards forward, `size` cards at a time. `ask` may narrow or order the list.
async fn forward(
    client: &Client,
    size: i64,
    ask: impl Fn(CardsRequest<'_>) -> CardsRequest<'_>,
) -> Vec<String> {
    let mut page = ask(client.cards_page()).first(size).await;
    let mut all = page.ids();
    while page.page_info.has_next_page {
        page = ask(client.cards_page()).first(size).after(page.end()).await;
        all.extend(page.ids());
    }
    all
}

/// Reads the whole list of cards backward, `size` cards at a time, and returns it in the order of the list.
async fn backward(
    client: &Client,
    size: i64,
    ask: impl Fn(CardsRequest<'_>) -> CardsRequest<'_>,
) -> Vec<String> {
    let mut page = ask(client.cards_page()).last(size).await;
    let mut all = page.ids();
    while page.page_info.has_previous_page {
        page = ask(client.cards_page()).last(size).before(page.start()).await;
        all.splice(0..0, page.ids());
    }
    all
}

/// A learner with three subjects of 25 cards each, which she did not buy in the order of the course.
struct World {
    course: TestCourse,
    asha: Client,
}

impl World {
    async fn new(app: &TestApp) -> Self {
        let course = app.course(&["Physics", "Chemistry", "Biology"]).cards(25).create(app).await;
        let asha = app.learner("Asha").await;
        for subject in [2, 0, 1] {
            asha.buy(course.subject(subject)).await;
        }
        // Another learner also has cards, which the lists of the first learner must not contain.
        app.learner("Binod").await.buy(course.subject(0)).await;
        Self { course, asha }
    }
}
