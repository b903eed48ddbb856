//! The courses and subjects of the demo, with their questions and marks.

/// A course of the demo.
pub(super) struct DemoCourse {
    pub(super) code: &'static str,
    pub(super) name: &'static str,
    pub(super) description: &'static str,
    /// The price of the bundle in paise, like all prices here.
    pub(super) bundle_price: i64,
    pub(super) marks: Marks,
    pub(super) subjects: &'static [DemoSubject],
}

/// The marks of a question, in hundredths, as in the real examination. An unanswered question gives no marks.
#[derive(Clone, Copy)]
pub(super) struct Marks {
    pub(super) correct: i32,
    pub(super) wrong: i32,
}

/// A subject of the demo.
pub(super) struct DemoSubject {
    pub(super) code: &'static str,
    pub(super) name: &'static str,
    pub(super) list_price: i64,
    pub(super) offer_price: Option<i64>,
    /// The texts of its question bank, in the format GIFT.
    pub(super) questions: &'static [&'static str],
}

const fn subject(
    code: &'static str,
    name: &'static str,
    list_price: i64,
    offer_price: Option<i64>,
    questions: &'static [&'static str],
) -> DemoSubject {
    DemoSubject { code, name, list_price, offer_price, questions }
}

/// Includes a file of `api/service/demo`.
macro_rules! gift {
    ($name:literal) => {
        include_str!(concat!("../../demo/", $name, ".gift"))
    };
}

const BOTANY: &str = gift!("botany");
const CHEMISTRY: &str = gift!("chemistry");
const CHEMISTRY_JEE: &str = gift!("chemistry-jee");
const ECONOMICS: &str = gift!("economics");
const ENGLISH: &str = gift!("english");
const GENERAL_AWARENESS: &str = gift!("general-awareness");
const GENERAL_TEST: &str = gift!("general-test");
const MATHEMATICS: &str = gift!("mathematics");
const PHYSICS: &str = gift!("physics");
const PHYSICS_JEE: &str = gift!("physics-jee");
const QUANTITATIVE_APTITUDE: &str = gift!("quantitative-aptitude");
const REASONING: &str = gift!("reasoning");
const ZOOLOGY: &str = gift!("zoology");

pub(super) const COURSES: &[DemoCourse] = &[
    DemoCourse {
        code: "neet-ug",
        name: "NEET UG",
        description: "Mock tests for the medical entrance examination.",
        bundle_price: 1_499_00,
        marks: Marks { correct: 4_00, wrong: -1_00 },
        subjects: &[
            subject("physics", "Physics", 599_00, Some(499_00), &[PHYSICS]),
            subject("chemistry", "Chemistry", 599_00, None, &[CHEMISTRY]),
            subject("botany", "Botany", 449_00, None, &[BOTANY]),
            subject("zoology", "Zoology", 449_00, Some(399_00), &[ZOOLOGY]),
        ],
    },
    DemoCourse {
        code: "jee-main",
        name: "JEE Main",
        description: "Mock tests for the engineering entrance examination, numeric questions included.",
        bundle_price: 1_299_00,
        marks: Marks { correct: 4_00, wrong: -1_00 },
        subjects: &[
            subject("physics", "Physics", 549_00, None, &[PHYSICS, PHYSICS_JEE]),
            subject("chemistry", "Chemistry", 549_00, Some(449_00), &[CHEMISTRY, CHEMISTRY_JEE]),
            subject("mathematics", "Mathematics", 599_00, None, &[MATHEMATICS]),
        ],
    },
    DemoCourse {
        code: "cuet-ug",
        name: "CUET UG",
        description: "Mock tests for admission to the central universities.",
        bundle_price: 699_00,
        marks: Marks { correct: 5_00, wrong: -1_00 },
        subjects: &[
            subject("english", "English", 249_00, None, &[ENGLISH]),
            subject("general-test", "General Test", 299_00, Some(199_00), &[GENERAL_TEST]),
            subject("economics", "Economics", 299_00, None, &[ECONOMICS]),
        ],
    },
    DemoCourse {
        code: "ssc-cgl",
        name: "SSC CGL Tier I",
        description: "Mock tests for the combined graduate level examination.",
        bundle_price: 799_00,
        marks: Marks { correct: 2_00, wrong: -50 },
        subjects: &[
            subject("quantitative-aptitude", "Quantitative Aptitude", 299_00, None, &[QUANTITATIVE_APTITUDE]),
            subject("reasoning", "General Intelligence and Reasoning", 299_00, Some(249_00), &[REASONING]),
            subject("english", "English Comprehension", 249_00, None, &[ENGLISH]),
            subject("general-awareness", "General Awareness", 199_00, None, &[GENERAL_AWARENESS]),
        ],
    },
];
