//! The texts of papers, rendered once for all sittings of a paper.

use std::sync::Arc;

use graphql_engine::RenderedText;
use jishu_service::paper::{Paper, PaperRevision};
use jishu_service::picture::PictureAddresses;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

/// Maximum memory of the rendered papers.
const MAX_CACHE_BYTES: u64 = 64 * 1024 * 1024;
/// Estimated number of rendered papers.
const EXPECTED_PAPERS: usize = 1_000;
/// The memory that a text takes beside its bytes.
const BYTES_PER_TEXT: usize = 96;

/// The texts of a question that all its readers see.
#[derive(Debug)]
pub(in crate::graphql) struct RenderedQuestion {
    pub(super) stem: RenderedText,
    /// The options, in the author's order.
    pub(super) options: Vec<RenderedText>,
}

/// The texts of a revision of a paper. A revision never changes: a corrected key makes another one.
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

    /// Returns the questions, by slot.
    pub(super) fn questions(&self) -> &[RenderedQuestion] {
        &self.0
    }

    /// Estimates the memory of the texts, in bytes.
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

/// Weighs rendered papers by their bytes.
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
    /// Returns the texts of a paper. Renders them if they are not cached.
    pub(super) fn get(&self, paper: &Paper, pictures: &PictureAddresses) -> Arc<RenderedPaper> {
        if let Some(rendered) = self.0.get(&paper.id) {
            return rendered;
        }
        let rendered = Arc::new(RenderedPaper::render(paper, pictures));
        self.0.insert(paper.id, Arc::clone(&rendered));
        rendered
    }
}
