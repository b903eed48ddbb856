//! The texts of papers as finished JSON, rendered once for all sittings of a paper.

use std::sync::Arc;

use graphql_engine::RenderedText;
use jishu_service::paper::{Paper, PaperRevision};
use jishu_service::picture::PictureAddresses;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

/// The maximum memory of the rendered papers in the cache, in bytes.
const MAX_CACHE_BYTES: u64 = 64 * 1024 * 1024;
/// The estimated number of rendered papers, for which the cache reserves room.
const EXPECTED_PAPERS: usize = 1_000;
/// The estimated memory that a rendered text takes in addition to its JSON, in bytes.
const BYTES_PER_TEXT: usize = 96;

/// The texts of a question that are the same in all sittings.
#[derive(Debug)]
pub(in crate::graphql) struct RenderedQuestion {
    pub(super) stem: RenderedText,
    /// The texts of the options, in the author's order.
    pub(super) options: Vec<RenderedText>,
}

/// The texts of the questions of one revision of a paper. A revision never changes: the correction of a key makes
/// another revision.
#[derive(Debug)]
pub(in crate::graphql) struct RenderedPaper(Vec<RenderedQuestion>);

impl RenderedPaper {
    fn render(paper: &Paper, pictures: &PictureAddresses) -> Self {
        let render = |text: &String| RenderedText::new(&pictures.show(text));
        let questions = paper.questions.iter().map(|question| RenderedQuestion {
            stem: render(&question.stem),
            options: question.options.iter().map(render).collect(),
        });
        Self(questions.collect())
    }

    /// Returns the texts of the questions, in the order of the slots.
    pub(super) fn questions(&self) -> &[RenderedQuestion] {
        &self.0
    }

    /// Estimates the memory that the texts of the paper take, in bytes.
    fn bytes(&self) -> usize {
        let of_text = |text: &RenderedText| text.json_bytes() + BYTES_PER_TEXT;
        let of_question =
            |it: &RenderedQuestion| of_text(&it.stem) + it.options.iter().map(of_text).sum::<usize>();
        self.0.iter().map(of_question).sum()
    }
}

/// A cache of rendered papers, with a limit on its memory.
#[derive(Debug)]
pub(in crate::graphql) struct RenderedPapers(Cache<PaperRevision, Arc<RenderedPaper>, RenderedPaperWeigher>);

/// Weighs a rendered paper by the bytes that its texts take.
#[derive(Clone, Debug)]
struct RenderedPaperWeigher;

impl Weighter<PaperRevision, Arc<RenderedPaper>> for RenderedPaperWeigher {
    fn weight(&self, _: &PaperRevision, paper: &Arc<RenderedPaper>) -> u64 {
        u64::try_from(paper.bytes()).unwrap_or(u64::MAX)
    }
}

impl Default for RenderedPapers {
    fn default() -> Self {
        Self(Cache::with_weighter(EXPECTED_PAPERS, MAX_CACHE_BYTES, RenderedPaperWeigher))
    }
}

impl RenderedPapers {
    /// Returns the texts of a paper from the cache. If the cache lacks them, renders the texts and adds them to the
    /// cache.
    pub(super) fn get(&self, paper: &Paper, pictures: &PictureAddresses) -> Arc<RenderedPaper> {
        if let Some(rendered) = self.0.get(&paper.id) {
            return rendered;
        }
        let rendered = Arc::new(RenderedPaper::render(paper, pictures));
        self.0.insert(paper.id, Arc::clone(&rendered));
        rendered
    }
}
