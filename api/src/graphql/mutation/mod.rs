//! The mutation root, with one file for each topic.

mod account;
mod account_links;
mod allowance;
mod auth_payload;
mod authoring;
mod cart;
mod checkout;
mod deletion;
mod extra_time;
mod grant_purchase;
mod guardian;
mod oidc;
mod order;
mod people;
mod profile;
mod purchase;
mod question_bank;
mod question_key;
mod refund;
mod second_factor;
mod sessions;
mod test_session;
mod test_settings;

use async_graphql::MergedObject;

/// The mutations. If an operation has several mutation fields, they run one after another, in the order of the
/// document.
#[derive(Default, MergedObject)]
pub struct Mutation(
    account::AccountMutation,
    account_links::AccountLinksMutation,
    profile::ProfileMutation,
    sessions::SessionsMutation,
    second_factor::SecondFactorMutation,
    oidc::OidcMutation,
    deletion::DeletionMutation,
    deletion::StaffDeletionMutation,
    guardian::GuardianMutation,
    cart::CartMutation,
    purchase::PurchaseMutation,
    checkout::CheckoutMutation,
    order::OrderMutation,
    refund::RefundMutation,
    extra_time::ExtraTimeMutation,
    allowance::AllowanceMutation,
    people::PeopleMutation,
    grant_purchase::GrantPurchaseMutation,
    test_session::TestSessionMutation,
    test_settings::TestSettingsMutation,
    question_bank::QuestionBankMutation,
    question_key::QuestionKeyMutation,
    authoring::CourseMutation,
    authoring::SubjectMutation,
);
