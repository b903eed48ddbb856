//! Turns the refusals to create or change a course or a subject into user errors.

use async_graphql::Context;

use crate::graphql::error::ApiResult;
use crate::graphql::types::{ErrorCode, StaleEditError, UserError};
use jishu_service::authoring::{CatalogueField, EditRefusal, InvalidValue, ValueProblem};
use jishu_service::test_settings::Setting;

/// Turns a refusal into user errors: one error for each value that is not allowed, or one error for any other refusal.
/// `id_at` is the path of the argument with the id of the course or the subject.
pub(super) async fn edit_errors(
    ctx: &Context<'_>,
    refusal: EditRefusal,
    id_at: &[&str],
) -> ApiResult<Vec<UserError>> {
    let message = refusal.to_string();
    Ok(match refusal {
        EditRefusal::CourseNotFound => {
            let message = format!("{message} Take its id from `catalogueCourses`.");
            vec![UserError::field(ErrorCode::CourseNotFound, message, id_at)]
        }
        EditRefusal::SubjectNotFound => {
            let message = format!("{message} Take its id from `catalogueSubjects`.");
            vec![UserError::field(ErrorCode::SubjectNotFound, message, id_at)]
        }
        EditRefusal::CodeTaken => vec![UserError::field(ErrorCode::CodeTaken, message, &["input", "code"])],
        EditRefusal::Stale(current) => {
            vec![UserError::StaleEdit(StaleEditError::load(ctx, message, current).await?)]
        }
        EditRefusal::Invalid(values) => values.into_iter().map(invalid_value).collect(),
    })
}

fn invalid_value(InvalidValue { field, problem }: InvalidValue) -> UserError {
    let code = match &problem {
        ValueProblem::Code => ErrorCode::CodeInvalid,
        ValueProblem::CodeFixed => ErrorCode::CodeFixed,
        ValueProblem::Name => ErrorCode::NameInvalid,
        ValueProblem::Description => ErrorCode::DescriptionInvalid,
        ValueProblem::Currency | ValueProblem::CurrencyFixed => ErrorCode::CurrencyInvalid,
        ValueProblem::PricePlaces { .. } | ValueProblem::PriceRange { .. } => ErrorCode::PriceInvalid,
        ValueProblem::OfferAboveListPrice | ValueProblem::OfferEndsTooEarly | ValueProblem::OfferTime => {
            ErrorCode::OfferInvalid
        }
        ValueProblem::ValidityDays => ErrorCode::ValidityDaysInvalid,
        ValueProblem::TotalMockTests => ErrorCode::TotalMockTestsInvalid,
        ValueProblem::Settings(_) => ErrorCode::TestSettingsInvalid,
    };
    let at: &[&str] = match field {
        CatalogueField::Code => &["input", "code"],
        CatalogueField::Name => &["input", "name"],
        CatalogueField::Description => &["input", "description"],
        CatalogueField::Currency => &["input", "currency"],
        CatalogueField::BundlePrice => &["input", "bundlePrice"],
        CatalogueField::ValidityDays => &["input", "validityDays"],
        CatalogueField::ListPrice => &["input", "listPrice"],
        CatalogueField::OfferPrice => &["input", "offer", "price"],
        CatalogueField::OfferStart => &["input", "offer", "startsAt"],
        CatalogueField::OfferEnd => &["input", "offer", "endsAt"],
        CatalogueField::TotalMockTests => &["input", "totalMockTests"],
        CatalogueField::Settings(setting) => marking_path(setting),
    };
    UserError::field(code, problem.to_string(), at)
}

fn marking_path(setting: Option<Setting>) -> &'static [&'static str] {
    match setting {
        Some(Setting::Correct) => &["input", "markingScheme", "correct"],
        Some(Setting::Wrong) => &["input", "markingScheme", "wrong"],
        Some(Setting::Unanswered) => &["input", "markingScheme", "unanswered"],
        Some(Setting::QuestionsPerTest) => &["input", "markingScheme", "questionsPerTest"],
        Some(Setting::TimeLimit) => &["input", "markingScheme", "timeLimitSeconds"],
        Some(Setting::MaxAttempts) => &["input", "markingScheme", "maxAttempts"],
        Some(Setting::Blueprint | Setting::BlueprintSum | Setting::BlueprintQuestions) | None => {
            &["input", "markingScheme"]
        }
    }
}
