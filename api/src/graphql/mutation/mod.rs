//! The mutation root, with one file for each topic.

mod account;
mod account_links;
mod cart;
mod extra_time;
mod profile;
mod purchase;
mod question_bank;
mod question_key;
mod test_session;
mod test_settings;

use async_graphql::MergedObject;

/// The mutations. The fields of one request run one after another.
#[derive(Default, MergedObject)]
pub struct Mutation(
    account::AccountMutation,
    account_links::AccountLinksMutation,
    profile::ProfileMutation,
    cart::CartMutation,
    purchase::PurchaseMutation,
    extra_time::ExtraTimeMutation,
    test_session::TestSessionMutation,
    test_settings::TestSettingsMutation,
    question_bank::QuestionBankMutation,
    question_key::QuestionKeyMutation,
);
