//! The files of the demo: its catalogue, and the question banks of its subjects.

use crate::catalogue_file::{CatalogueDocument, CatalogueFileRefusal};

/// Reads the catalogue of the demo.
pub(super) fn catalogue() -> Result<CatalogueDocument, CatalogueFileRefusal> {
    CatalogueDocument::parse(include_str!("../../demo/catalogue.yaml"))
}

/// Includes the texts of files with question banks from `api/service/demo`, in the format GIFT.
macro_rules! banks {
    ($($name:literal),+) => {
        &[$(include_str!(concat!("../../demo/", $name, ".gift"))),+]
    };
}

/// Returns the texts of the files with a subject's question bank, for the code of the course and the code of the
/// subject. Empty for a subject that the demo does not have.
pub(super) fn banks_of(course: &str, subject: &str) -> &'static [&'static str] {
    match (course, subject) {
        ("neet-ug", "physics") => banks!("physics"),
        ("neet-ug", "chemistry") => banks!("chemistry"),
        ("neet-ug", "botany") => banks!("botany"),
        ("neet-ug", "zoology") => banks!("zoology"),
        ("jee-main", "physics") => banks!("physics", "physics-jee"),
        ("jee-main", "chemistry") => banks!("chemistry", "chemistry-jee"),
        ("jee-main", "mathematics") => banks!("mathematics"),
        ("cuet-ug", "english") | ("ssc-cgl", "english") => banks!("english"),
        ("cuet-ug", "general-test") => banks!("general-test"),
        ("cuet-ug", "economics") => banks!("economics"),
        ("ssc-cgl", "quantitative-aptitude") => banks!("quantitative-aptitude"),
        ("ssc-cgl", "reasoning") => banks!("reasoning"),
        ("ssc-cgl", "general-awareness") => banks!("general-awareness"),
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_subject_of_the_demo_has_a_question_bank() {
        let catalogue = catalogue().unwrap_or_else(|error| panic!("{error}"));
        let mut subjects = 0;
        for course in &catalogue.courses {
            for subject in &course.subjects {
                let (course, subject) = (course.trimmed_code(), subject.trimmed_code());
                assert!(!banks_of(course, subject).is_empty(), "{course}/{subject}");
                subjects += 1;
            }
        }
        assert_eq!((catalogue.courses.len(), subjects), (4, 14));
    }
}
