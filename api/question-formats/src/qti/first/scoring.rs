//! Rewrites the scoring of an item of QTI 1.2 as response processing of QTI 3.0.

use roxmltree::Node;
use rust_decimal::Decimal;

use crate::number;
use crate::qti::expression::elements;
use crate::xml::{child, children, escape, text};

/// The expression that reads the response in the rewritten rules.
const RESPONSE: &str = "<qti-variable identifier=\"RESPONSE\"/>";

/// The outcome that a rewritten condition sets to true if the condition holds. Only items with an `other` have this
/// outcome, because only the `other` reads it. The spaces in its name keep it apart from the outcomes of authors.
const HAS_HELD: &str = "a condition has held";

/// The kind of answers that a response takes.
#[derive(Clone, Copy)]
pub(super) enum ResponseKind {
    Choice { is_multiple: bool },
    Number,
    Text,
}

/// Returns whether a response takes a number: its element or the metadata say so, or the conditions compare numbers.
pub(super) fn is_of_numbers(item: Node<'_, '_>, response: Node<'_, '_>, kind: Option<&str>) -> bool {
    let fib_type = child(response, "render_fib").and_then(|render| render.attribute("fibtype"));
    let is_type = fib_type.is_some_and(|name| {
        ["integer", "decimal", "scientific"].contains(&name.to_ascii_lowercase().as_str())
    });
    let compares =
        |node: Node<'_, '_>| matches!(node.tag_name().name(), "vargt" | "vargte" | "varlt" | "varlte");
    let is_named = response.tag_name().name() == "response_num" || kind == Some("numerical_question");
    is_named || is_type || item.descendants().any(compares)
}

/// Returns the scoring of an item of QTI 1.2 as an item of QTI 3.0. The new item has a declaration, the choices
/// without texts, and the rules.
pub(super) fn as_qti3(
    item: Node<'_, '_>,
    response: Node<'_, '_>,
    choices: &[Node<'_, '_>],
    kind: ResponseKind,
) -> String {
    let (cardinality, base_type) = match kind {
        ResponseKind::Choice { is_multiple: true } => ("multiple", "identifier"),
        ResponseKind::Choice { is_multiple: false } => ("single", "identifier"),
        ResponseKind::Number => ("single", "float"),
        ResponseKind::Text => ("single", "string"),
    };
    let choice = |choice: &Node<'_, '_>| {
        format!(
            "<qti-simple-choice identifier=\"{}\"/>",
            escape(choice.attribute("ident").unwrap_or_default())
        )
    };
    let choices: String = choices.iter().map(choice).collect();
    let rewriter = Rewriter {
        kind,
        response: response.attribute("ident").unwrap_or_default(),
        has_other: item.descendants().any(|node| node.tag_name().name() == "other"),
    };
    let mut outcomes = match rewriter.has_other {
        true => format!(
            "<qti-outcome-declaration identifier=\"{HAS_HELD}\" cardinality=\"single\" base-type=\"boolean\"/>"
        ),
        false => String::new(),
    };
    let mut rules = String::new();
    for processing in children(item, "resprocessing") {
        let variables = processing.descendants().filter(|node| node.tag_name().name() == "decvar");
        let most =
            variables.clone().filter_map(|variable| number::exact(variable.attribute("maxvalue")?)).max();
        outcomes.extend(variables.map(|variable| outcome(variable)));
        if rewriter.has_other {
            // An `other` depends only on the conditions of its own `resprocessing`, so each `resprocessing` begins with
            // an outcome that is not set.
            rules.push_str(&set_outcome(HAS_HELD, "<qti-null/>"));
        }
        for condition in children(processing, "respcondition") {
            rules.push_str(&rewriter.rule(condition, most.filter(|most| *most > Decimal::ZERO)));
        }
    }
    let processing = match rules.is_empty() {
        true => String::new(),
        false => format!("<qti-response-processing>{rules}</qti-response-processing>"),
    };
    format!(
        "<qti-assessment-item><qti-response-declaration identifier=\"RESPONSE\" cardinality=\"{cardinality}\" \
         base-type=\"{base_type}\"/>{outcomes}<qti-choice-interaction max-choices=\"0\">{choices}</qti-choice-interaction>\
         {processing}</qti-assessment-item>"
    )
}

fn variable_name<'a>(node: Node<'a, '_>) -> &'a str {
    node.attribute("varname").unwrap_or("SCORE")
}

fn outcome(variable: Node<'_, '_>) -> String {
    let default = variable.attribute("defaultval").unwrap_or("0");
    format!(
        "<qti-outcome-declaration identifier=\"{}\" cardinality=\"single\" base-type=\"float\"><qti-default-value>\
         <qti-value>{}</qti-value></qti-default-value></qti-outcome-declaration>",
        escape(variable_name(variable)),
        escape(default)
    )
}

/// Rewrites the conditions of an item.
struct Rewriter<'r> {
    kind: ResponseKind,
    /// The identifier of the response in the item.
    response: &'r str,
    /// Whether a test of the item is the element `other`, which is true if no test of an earlier condition was true. If
    /// so, each condition records that its test was true.
    has_other: bool,
}

impl Rewriter<'_> {
    /// Rewrites a condition with the outcomes that it sets. Marks become parts of `most`, because many systems write
    /// marks in per cent.
    fn rule(&self, condition: Node<'_, '_>, most: Option<Decimal>) -> String {
        let test =
            child(condition, "conditionvar").map_or_else(|| "<qti-and/>".to_owned(), |test| self.all(test));
        let mut sets: String = children(condition, "setvar").map(|set| setter(set, most)).collect();
        if self.has_other {
            // An empty `qti-and` is true.
            sets.push_str(&set_outcome(HAS_HELD, "<qti-and/>"));
        }
        // By the standard, the scoring ends after the first condition that holds, unless it says `continue="Yes"`.
        // Systems that add marks option by option do not follow this rule. So a condition that adds marks and has no
        // attribute `continue` does not end the scoring.
        let adds = |set: Node<'_, '_>| {
            set.attribute("action").is_some_and(|action| action.eq_ignore_ascii_case("add"))
        };
        let is_last = match condition.attribute("continue") {
            Some(value) => !value.trim().eq_ignore_ascii_case("yes"),
            None => !children(condition, "setvar").any(adds),
        };
        if is_last {
            sets.push_str("<qti-exit-response/>");
        }
        format!(
            "<qti-response-condition><qti-response-if>{test}{sets}</qti-response-if></qti-response-condition>"
        )
    }

    /// Rewrites the tests in an element, all of which must hold. If the learner can give only one answer, several tests
    /// for texts or options are alternatives, because they could never hold together.
    fn all(&self, parent: Node<'_, '_>) -> String {
        let tests: Vec<Node<'_, '_>> = elements(parent).collect();
        let is_single = !matches!(self.kind, ResponseKind::Choice { is_multiple: true });
        let are_alternatives = tests.len() > 1
            && parent.tag_name().name() == "conditionvar"
            && is_single
            && tests.iter().all(|test| test.tag_name().name() == "varequal");
        let name = if are_alternatives { "qti-or" } else { "qti-and" };
        let tests: String = tests.into_iter().map(|test| self.test(test)).collect();
        format!("<{name}>{tests}</{name}>")
    }

    fn test(&self, test: Node<'_, '_>) -> String {
        let name = test.tag_name().name();
        let is_of_other = test.attribute("respident").is_some_and(|ident| ident != self.response);
        match name {
            "and" => self.all(test),
            "or" => {
                format!("<qti-or>{}</qti-or>", elements(test).map(|test| self.test(test)).collect::<String>())
            }
            "not" => format!("<qti-not>{}</qti-not>", self.all(test)),
            // By the standard, an `other` is true if no other test was true. Rules run in order, so an `other` is true
            // if no condition above it has held.
            "other" => format!("<qti-is-null><qti-variable identifier=\"{HAS_HELD}\"/></qti-is-null>"),
            "unanswered" => format!("<qti-is-null>{RESPONSE}</qti-is-null>"),
            _ if is_of_other => "<qti-respident/>".to_owned(),
            "varequal" => self.equal(test),
            "vargt" | "vargte" | "varlt" | "varlte" => {
                let name = format!("qti-{}", &name[3..]);
                format!("<{name}>{RESPONSE}{}</{name}>", base("float", &text(test)))
            }
            name => format!("<qti-{}/>", escape(name)),
        }
    }

    fn equal(&self, test: Node<'_, '_>) -> String {
        let written = text(test);
        match self.kind {
            ResponseKind::Choice { is_multiple: true } => {
                format!("<qti-contains>{RESPONSE}{}</qti-contains>", base("identifier", &written))
            }
            ResponseKind::Choice { is_multiple: false } => {
                format!("<qti-match>{RESPONSE}{}</qti-match>", base("identifier", &written))
            }
            ResponseKind::Number => format!("<qti-equal>{RESPONSE}{}</qti-equal>", base("float", &written)),
            ResponseKind::Text => {
                let is_sensitive =
                    test.attribute("case").is_some_and(|case| case.trim().eq_ignore_ascii_case("yes"));
                format!(
                    "<qti-string-match case-sensitive=\"{is_sensitive}\">{RESPONSE}{}</qti-string-match>",
                    base("string", &written)
                )
            }
        }
    }
}

fn base(base_type: &str, value: &str) -> String {
    format!("<qti-base-value base-type=\"{base_type}\">{}</qti-base-value>", escape(value))
}

/// Rewrites an element `setvar`, which sets or changes an outcome.
fn setter(set: Node<'_, '_>, most: Option<Decimal>) -> String {
    let (name, written) = (escape(variable_name(set)), text(set));
    let marks = number::exact(&written);
    let part = marks.and_then(|marks| most.map_or(Some(marks), |most| marks.checked_div(most)));
    let value = base("float", &part.map_or(written, |part| part.normalize().to_string()));
    let variable = format!("<qti-variable identifier=\"{name}\"/>");
    let action = set.attribute("action").unwrap_or("Set").to_ascii_lowercase();
    let value = match action.as_str() {
        "set" => value,
        "add" => format!("<qti-sum>{variable}{value}</qti-sum>"),
        "subtract" => format!("<qti-subtract>{variable}{value}</qti-subtract>"),
        other => format!("<qti-{}/>", escape(other)),
    };
    set_outcome(&name, &value)
}

/// Writes the rule that sets an outcome to the value of an expression. `name` and `value` must be XML already.
fn set_outcome(name: &str, value: &str) -> String {
    format!("<qti-set-outcome-value identifier=\"{name}\">{value}</qti-set-outcome-value>")
}
