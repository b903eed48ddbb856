//! Every column of every table: where the export of a person has it, and what the deletion of an account does to it.
//!
//! [`super::newer_columns`] has the tables of orders and of ways to sign in. A new table or column fails the tests of
//! this folder until it is listed here. If it contains data of a person, add it to `data_export` and to
//! `account/deletion/erase.rs` in `jishu-service`.

/// The place of a column in the export of a person.
#[derive(Clone, Copy)]
pub(super) enum Exported {
    /// The export has the column at this path of its JSON object. If the path leads through a list, it is enough that
    /// one item of the list has the path.
    At(&'static str),
    /// The export does not have the column, for this reason.
    Not(&'static str),
}

/// What the deletion of an account does to a column of the person's rows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Deleted {
    /// The deletion deletes the person's rows of this table.
    Rows,
    /// The deletion replaces the value of the column.
    Value,
    /// The value of the column stays: it says nothing about a person, or the books need it.
    Stays,
}

pub(super) use Deleted::{Rows, Stays, Value};
pub(super) use Exported::{At, Not};

pub(super) const KEY: Exported = Not("the number of a row, which says nothing about the person");
pub(super) const OWNER: Exported = Not("the id of the person, which is the same in all rows");
const STAFF: Exported = Not("a member of staff, who is another person");
pub(super) const SECRET: Exported = Not("a secret, or a hash of one");
pub(super) const MACHINE: Exported = Not("needed for the work of the server only");
const PAPER: Exported = Not("would show the paper, or the order in which its author wrote the options");

/// Tables without rows of a person, each with a reason.
pub(super) const IMPERSONAL: [(&str, &str); 17] = [
    ("courses", "the catalogue"),
    ("subjects", "the catalogue"),
    ("blueprint_parts", "the catalogue"),
    ("topics", "the question bank"),
    ("questions", "the question bank"),
    ("question_versions", "the question bank"),
    ("question_options", "the question bank"),
    ("accepted_texts", "the question bank"),
    ("pictures", "the question bank"),
    ("question_version_pictures", "the question bank"),
    ("question_corrections", "the question bank; its author is staff"),
    ("papers", "the question bank"),
    ("paper_questions", "the question bank"),
    ("paper_revisions", "the question bank"),
    ("paper_scores", "numbers of learners, without who they are"),
    ("server_secrets", "secrets of the server"),
    ("seaql_migrations", "the history of the schema"),
];

/// A table with rows of a person: its name, and for each column its place in the export and what a deletion does to it.
pub(super) type PersonalTable = (&'static str, &'static [(&'static str, Exported, Deleted)]);

pub(super) const PERSONAL: &[PersonalTable] = &[
    (
        "users",
        &[
            ("id", At("profile.id"), Stays),
            ("name", At("profile.name"), Value),
            ("email", At("profile.email"), Value),
            ("password_hash", SECRET, Value),
            ("role", At("profile.role"), Value),
            ("status", At("profile.status"), Value),
            ("created_at", At("profile.registeredAt"), Stays),
            ("email_verified_at", At("profile.emailVerifiedAt"), Value),
            ("birth_year", At("profile.birthYear"), Value),
            ("deleted_at", Not("null while there is an account"), Stays),
        ],
    ),
    (
        "guardian_consents",
        &[
            ("id", KEY, Rows),
            ("user_id", OWNER, Rows),
            ("guardian_email", At("guardianConsent.guardianEmail"), Rows),
            ("revoke_token_hash", SECRET, Rows),
            ("requested_at", At("guardianConsent.requestedAt"), Rows),
            ("consented_at", At("guardianConsent.consentedAt"), Rows),
            ("revoked_at", At("guardianConsent.revokedAt"), Rows),
        ],
    ),
    (
        "refresh_tokens",
        &[
            ("id", KEY, Rows),
            ("user_id", OWNER, Rows),
            ("token_hash", SECRET, Rows),
            ("family_id", At("signInSessions.session"), Rows),
            ("created_at", At("signInSessions.issuedAt"), Rows),
            ("expires_at", At("signInSessions.expiresAt"), Rows),
            ("used_at", At("signInSessions.usedAt"), Rows),
            ("revoked_at", At("signInSessions.revokedAt"), Rows),
            ("successor", SECRET, Rows),
            ("successor_until", MACHINE, Rows),
            ("session_began_at", At("signInSessions.beganAt"), Rows),
            ("program", At("signInSessions.program"), Rows),
            ("network", At("signInSessions.network"), Rows),
        ],
    ),
    (
        "sign_in_networks",
        &[
            ("id", KEY, Rows),
            ("user_id", OWNER, Rows),
            ("network", Not("a keyed hash, from which nobody without the key can find the address"), Rows),
            ("seen_at", At("signInNetworks.lastSeenAt"), Rows),
        ],
    ),
    (
        "account_links",
        &[
            ("id", KEY, Rows),
            ("user_id", OWNER, Rows),
            ("purpose", At("links.purpose"), Rows),
            ("token_hash", SECRET, Rows),
            ("email", At("links.sentTo"), Rows),
            ("created_at", At("links.createdAt"), Rows),
            ("expires_at", At("links.expiresAt"), Rows),
            ("used_at", At("links.usedAt"), Rows),
        ],
    ),
    (
        "outbox",
        &[
            ("id", KEY, Rows),
            ("message_id", At("messages.id"), Rows),
            ("channel", At("messages.channel"), Rows),
            ("kind", At("messages.kind"), Rows),
            ("user_id", OWNER, Rows),
            ("payload", Not("encrypted, and erased when the mail leaves; it holds working links"), Rows),
            ("state", At("messages.state"), Rows),
            ("attempts", MACHINE, Rows),
            ("due_at", MACHINE, Rows),
            ("lease_owner", MACHINE, Rows),
            ("last_error", MACHINE, Rows),
            ("created_at", At("messages.createdAt"), Rows),
            ("expires_at", At("messages.expiresAt"), Rows),
            ("sent_at", At("messages.sentAt"), Rows),
        ],
    ),
    (
        "audit_events",
        &[
            ("id", KEY, Stays),
            ("at", At("accountEvents.at"), Stays),
            ("actor_id", At("accountEvents.byYou"), Stays),
            ("action", At("accountEvents.action"), Stays),
            ("target_type", At("activity.targetType"), Stays),
            ("target_id", At("activity.targetId"), Stays),
            ("state_before", At("accountEvents.before"), Stays),
            // The deletion erases the text that staff wrote in an event `order.resolved`. All other values stay.
            ("state_after", At("accountEvents.after"), Stays),
        ],
    ),
    (
        "cart_items",
        &[
            ("user_id", OWNER, Rows),
            ("subject_id", At("cart.subject.id"), Rows),
            ("added_at", At("cart.addedAt"), Rows),
            ("price", At("cart.price"), Rows),
        ],
    ),
    (
        "allowances",
        &[
            ("id", KEY, Rows),
            ("scope", Not("the same as the columns beside it"), Rows),
            ("user_id", OWNER, Rows),
            ("course_id", At("allowances.course"), Rows),
            ("subject_id", At("allowances.subject"), Rows),
            ("extra_seconds", At("allowances.extraSeconds"), Rows),
            ("max_attempts", At("allowances.maxAttempts"), Rows),
            ("reason", At("allowances.reason"), Rows),
            ("granted_by", STAFF, Rows),
            ("granted_at", At("allowances.grantedAt"), Rows),
        ],
    ),
    (
        "purchases",
        &[
            ("id", At("purchases.id"), Stays),
            ("user_id", OWNER, Stays),
            ("course_id", At("purchases.course.id"), Stays),
            ("purchase_type", At("purchases.type"), Stays),
            ("cost", At("purchases.cost"), Stays),
            ("subtotal", At("purchases.subtotal"), Stays),
            ("tax", At("purchases.tax"), Stays),
            ("tax_label", At("purchases.taxLabel"), Stays),
            ("tax_basis_points", At("purchases.taxBasisPoints"), Stays),
            ("is_tax_included", At("purchases.isTaxIncluded"), Stays),
            ("currency", At("purchases.currency"), Stays),
            ("status", At("purchases.status"), Stays),
            ("created_at", At("purchases.createdAt"), Stays),
            ("expires_at", At("purchases.expiresAt"), Stays),
        ],
    ),
    (
        "entitlements",
        &[
            ("purchase_id", At("purchases.id"), Stays),
            ("subject_id", At("purchases.subjects.subject.id"), Stays),
            ("user_id", OWNER, Stays),
            ("price_paid", At("purchases.subjects.pricePaid"), Stays),
            ("list_price", At("purchases.subjects.listPrice"), Stays),
            ("tax", At("purchases.subjects.tax"), Stays),
            ("test_cards", At("purchases.subjects.testCards"), Stays),
            ("granted_at", At("purchases.subjects.grantedAt"), Stays),
            ("expires_at", At("purchases.subjects.expiresAt"), Stays),
            ("ended_at", At("purchases.subjects.endedAt"), Stays),
            ("end_reason", At("purchases.subjects.endReason"), Stays),
            ("live", Not("the same as the columns beside it"), Stays),
        ],
    ),
    (
        "purchase_requests",
        &[
            ("id", KEY, Stays),
            ("user_id", OWNER, Stays),
            ("idempotency_key", At("purchases.requests.idempotencyKey"), Stays),
            ("request_hash", MACHINE, Stays),
            ("outcome", At("purchases.requests.outcome"), Stays),
            ("purchase_id", At("purchases.id"), Stays),
            ("created_at", At("purchases.requests.createdAt"), Stays),
        ],
    ),
    (
        "purchase_request_owned",
        &[
            ("request_id", KEY, Stays),
            ("subject_id", At("purchases.requests.alreadyOwned.subject.id"), Stays),
            ("granted_by", At("purchases.requests.alreadyOwned.purchaseId"), Stays),
        ],
    ),
    (
        "purchase_grants",
        &[
            ("purchase_id", At("purchases.id"), Stays),
            ("granted_by", STAFF, Stays),
            ("reason", At("purchases.grant.reason"), Value),
        ],
    ),
    (
        "refunds",
        &[
            ("id", At("purchases.refunds.id"), Stays),
            ("purchase_id", At("purchases.id"), Stays),
            ("user_id", OWNER, Stays),
            ("idempotency_key", Not("the key of support"), Stays),
            ("request_hash", MACHINE, Stays),
            ("amount", At("purchases.refunds.amount"), Stays),
            ("tax", At("purchases.refunds.tax"), Stays),
            ("currency", At("purchases.refunds.currency"), Stays),
            ("reason", At("purchases.refunds.reason"), Value),
            ("status", At("purchases.refunds.status"), Stays),
            ("requested_by", STAFF, Stays),
            ("requested_at", At("purchases.refunds.requestedAt"), Stays),
            ("settled_at", At("purchases.refunds.settledAt"), Stays),
        ],
    ),
    (
        "refund_lines",
        &[
            ("purchase_id", At("purchases.id"), Stays),
            ("subject_id", At("purchases.refunds.subjects.subject.id"), Stays),
            ("refund_id", At("purchases.refunds.id"), Stays),
            ("amount", At("purchases.refunds.subjects.amount"), Stays),
            ("tax", At("purchases.refunds.subjects.tax"), Stays),
        ],
    ),
    (
        "refund_repeats",
        &[
            ("purchase_id", At("purchases.id"), Stays),
            ("idempotency_key", Not("the key of support"), Stays),
            ("request_hash", MACHINE, Stays),
            ("refund_id", At("purchases.refunds.id"), Stays),
            ("requested_at", Not("the time at which support asked again"), Stays),
        ],
    ),
    (
        "mock_test_attempts",
        &[
            ("id", At("testCards.id"), Stays),
            ("purchase_id", At("testCards.purchaseId"), Stays),
            ("user_id", OWNER, Stays),
            ("subject_id", At("testCards.subject.id"), Stays),
            ("test_number", At("testCards.testNumber"), Stays),
            ("status", At("testCards.status"), Stays),
            ("max_attempts", At("testCards.maxAttempts"), Stays),
            ("attempts_used", At("testCards.attemptsUsed"), Stays),
            ("latest_attempt_at", At("testCards.latestAttemptAt"), Stays),
            ("latest_score", At("testCards.latestScore"), Stays),
            ("latest_percentage", At("testCards.latestPercentage"), Stays),
            ("first_score", At("testCards.firstScore"), Stays),
            ("best_score", At("testCards.bestScore"), Stays),
        ],
    ),
    (
        "extra_times",
        &[
            ("mock_test_attempt_id", At("testCards.id"), Rows),
            ("seconds", At("testCards.extraTime.seconds"), Rows),
            ("granted_by", STAFF, Rows),
            ("granted_at", At("testCards.extraTime.grantedAt"), Rows),
        ],
    ),
    (
        "test_sessions",
        &[
            ("id", At("sittings.id"), Stays),
            ("mock_test_attempt_id", At("sittings.testCardId"), Stays),
            ("user_id", OWNER, Stays),
            ("subject_id", At("sittings.subject.id"), Stays),
            ("paper_id", PAPER, Stays),
            ("paper_revision", PAPER, Stays),
            ("attempt_number", At("sittings.attemptNumber"), Stays),
            ("seed", PAPER, Stays),
            ("status", At("sittings.status"), Stays),
            ("open_marker", At("sittings.isOpen"), Stays),
            ("ranked", At("sittings.countsInRanking"), Stays),
            ("started_at", At("sittings.startedAt"), Stays),
            ("expires_at", At("sittings.expiresAt"), Stays),
            ("submitted_at", At("sittings.submittedAt"), Stays),
            ("end_reason", At("sittings.endReason"), Stays),
            ("score", At("sittings.score"), Stays),
            ("max_score", At("sittings.maxScore"), Stays),
            ("percentage", At("sittings.percentage"), Stays),
            ("correct", At("sittings.correct"), Stays),
            ("wrong", At("sittings.wrong"), Stays),
            ("unanswered", At("sittings.unanswered"), Stays),
            ("time_taken_seconds", At("sittings.timeTakenSeconds"), Stays),
            ("saves", MACHINE, Stays),
        ],
    ),
    (
        "test_answers",
        &[
            ("session_id", At("sittings.id"), Rows),
            ("slot", At("sittings.answers.slot"), Rows),
            ("chosen", At("sittings.answers.options"), Rows),
            ("text", At("sittings.answers.text"), Rows),
            ("numeric_value", At("sittings.answers.number"), Rows),
            ("flagged", At("sittings.answers.flagged"), Rows),
            ("time_spent_seconds", At("sittings.answers.timeSpentSeconds"), Rows),
            ("sequence", At("sittings.answers.batch"), Rows),
            ("saved_at", At("sittings.answers.savedAt"), Rows),
        ],
    ),
    (
        "topic_totals",
        &[
            ("user_id", OWNER, Rows),
            ("topic_id", At("progress.topic.id"), Rows),
            ("correct", At("progress.correct"), Rows),
            ("wrong", At("progress.wrong"), Rows),
            ("unanswered", At("progress.unanswered"), Rows),
            ("score", At("progress.score"), Rows),
        ],
    ),
];
