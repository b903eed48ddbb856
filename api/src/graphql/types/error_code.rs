//! The codes of expected outcomes.

use async_graphql::Enum;

/// The kind of an expected error, for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub(in crate::graphql) enum ErrorCode {
    /// The name is blank, too long, or contains control characters.
    NameInvalid,
    /// The e-mail address is not well-formed.
    EmailInvalid,
    /// An account with this e-mail address exists. Sign in, or register with another address.
    EmailTaken,
    /// The password is too short or too long, or it is the e-mail address.
    PasswordInvalid,
    /// The e-mail address or the password is wrong. For safety, the error does not say which. If the server requires
    /// verified addresses, the account may also have to verify its address first.
    InvalidCredentials,
    /// The link is unknown, used or expired. Ask for a new one.
    LinkInvalid,
    /// The account must verify its e-mail address before it can set up a second factor. `login` no longer uses this code,
    /// because it told strangers which addresses have accounts.
    EmailNotVerified,
    /// The link works, but whoever uses it must be signed in to its account, or give the password of the account.
    PasswordRequired,
    /// The change needs the password, or a sign-in within the last 10 minutes.
    RecentSignInRequired,
    /// The account has a second factor. Complete the sign-in with `completeLogin`.
    SecondFactorRequired,
    /// The code of the second factor is wrong, or it was used before. For safety, the error does not say which.
    SecondFactorCodeInvalid,
    /// The challenge of the sign-in is unknown, used or expired, or too many codes were tried. Sign in again.
    ChallengeInvalid,
    /// The account has a second factor already.
    SecondFactorAlreadyOn,
    /// The account has no second factor.
    SecondFactorNotOn,
    /// No second factor waits to be confirmed. Begin with `beginTwoFactor`.
    SecondFactorNotBegun,
    /// The operator has not set up a sign-in with another account.
    OidcNotSetUp,
    /// The operator does not allow to return to this address.
    RedirectNotAllowed,
    /// The issuer does not respond. Try again later, or sign in with the password.
    OidcUnavailable,
    /// The sign-in at the issuer is unknown, used or expired, it began in another browser, or the issuer refused it.
    OidcLoginInvalid,
    /// The issuer has not verified the e-mail address.
    OidcEmailNotVerified,
    /// An account with this e-mail address exists, and it has not verified the address.
    OidcAccountExists,
    /// The account at the issuer is linked to another account.
    OidcIdentityTaken,
    /// The account has no such identity.
    OidcIdentityNotFound,
    /// There is no such session, or it has ended.
    SessionNotFound,
    /// The e-mail address is verified already.
    EmailAlreadyVerified,
    /// The refresh token is unknown, expired, revoked or already used. Sign in again.
    RefreshTokenInvalid,
    /// There is no such course.
    CourseNotFound,
    /// The course is no longer sold.
    CourseArchived,
    /// The course has no bundle price. Buy its subjects one by one.
    NotSoldAsBundle,
    /// The course has no subject that is sold.
    CourseEmpty,
    /// There is no such subject.
    SubjectNotFound,
    /// The subject is no longer sold.
    SubjectArchived,
    /// The subject belongs to another course. A purchase covers one course.
    SubjectNotInCourse,
    /// The number of subjects does not fit the purchase type, or exceeds the maximum. For a refund: the list of subjects is
    /// empty.
    SubjectCountMismatch,
    /// A subject is listed more than once.
    SubjectRepeated,
    /// The user already owns the subject.
    SubjectOwned,
    /// The cart is full. Buy or remove some subjects first.
    CartFull,
    /// The price differs from the `cost` in the request. Show the new quote to the buyer.
    PriceChanged,
    /// The idempotency key was used for a different purchase or refund. Make a new key for each of them.
    IdempotencyKeyReused,
    /// There is no such purchase, or it belongs to another user.
    PurchaseNotFound,
    /// The subject is not part of the purchase.
    SubjectNotInPurchase,
    /// The subject was refunded before.
    AlreadyRefunded,
    /// The year of birth is missing. Give `birthYear`: to `register`, or to `updateProfile`.
    BirthYearRequired,
    /// The year of birth is in the future, or too long ago.
    BirthYearInvalid,
    /// The account has another year of birth, which only support can correct.
    BirthYearFixed,
    /// A parent or guardian must consent first. Ask one with `requestGuardianConsent`.
    GuardianConsentRequired,
    /// The account needs no consent of a guardian, or has it already.
    GuardianConsentNotNeeded,
    /// The guardian has revoked the consent. Only the same guardian can consent again.
    GuardianConsentRevoked,
    /// The account was deleted or deactivated.
    AccountInactive,
    /// There is no such account.
    UserNotFound,
    /// The account belongs to the viewer, who cannot change it in this way.
    OwnAccount,
    /// The account belongs to a member of staff. Only an admin can change it.
    UserIsStaff,
    /// The account is the last active admin. Make another account an admin first.
    LastAdmin,
    /// There is no such test card, or it belongs to another user.
    MockTestAttemptNotFound,
    /// The grant is empty. Give `extraSeconds`, `maxAttempts` or both.
    NothingToGrant,
    /// The allowance is for nothing in particular, or for both a subject and a course.
    AllowanceScopeInvalid,
    /// The extra time is out of range.
    ExtraSecondsInvalid,
    /// The number of attempts is out of range, or lower than the number of attempts used.
    MaxAttemptsInvalid,
    /// All attempts of the test card are used.
    AttemptsExhausted,
    /// The purchase that gave the test card was refunded or has expired. Buy the subject again.
    EntitlementEnded,
    /// The question bank has too few questions to make the test. An author must add questions.
    TooFewQuestions,
    /// There is no such sitting, or it belongs to another user.
    TestSessionNotFound,
    /// The sitting is over. Read `session.result`.
    TestSessionClosed,
    /// The deadline of the sitting has passed.
    TestSessionOverdue,
    /// The answer does not fit the question in its slot, or the number of the batch is invalid.
    AnswerInvalid,
    /// Another tab or device has changed some of these answers. Read `session.answerSequence`, add 1, and submit
    /// again.
    AnswersSuperseded,
    /// The test settings are invalid.
    TestSettingsInvalid,
    /// The format of the file was not recognised. Set `format`.
    QuestionFormatUnknown,
    /// The whole file is unreadable in its format.
    QuestionsUnreadable,
    /// There is no such question.
    QuestionNotFound,
    /// The question already has this key, and so has every test that asks it.
    QuestionKeyUnchanged,
    /// The key does not fit the question.
    QuestionKeyInvalid,
    /// The options belong to an older version of the question. Read the question again.
    QuestionOutdated,
    /// The explanation is too long or contains control characters.
    ExplanationInvalid,
    /// The reason is blank or too long.
    ReasonInvalid,
    /// The topic is blank or too long, or it contains control characters.
    TopicInvalid,
    /// Somebody has changed the course or the subject since its version was read. Compare the two states, and send the
    /// edit again with the current version.
    StaleEdit,
    /// Another course has this code, or another subject of the same course.
    CodeTaken,
    /// The code is malformed.
    CodeInvalid,
    /// The course or the subject has a code, and a code never changes.
    CodeFixed,
    /// The description is too long or contains control characters.
    DescriptionInvalid,
    /// There is no such currency.
    CurrencyInvalid,
    /// The price is out of range, or has more decimal places than its currency.
    PriceInvalid,
    /// The offer costs more than the list price, or its times are not allowed.
    OfferInvalid,
    /// The number of days is out of range.
    ValidityDaysInvalid,
    /// The number of mock tests is out of range.
    TotalMockTestsInvalid,
    /// The subjects cost money and must be paid for first. Call `checkout`.
    PaymentRequired,
    /// The platform takes no payments. Call `purchase`.
    PaymentsNotConfigured,
    /// Too many orders of the user wait for their payment. Pay or cancel some of them.
    TooManyOrders,
    /// The payment provider did not respond. Send the same request again.
    PaymentProviderUnavailable,
    /// The payment provider does not take the amount.
    PaymentProviderRefused,
    /// The signature from the provider's form does not prove a payment of this order.
    PaymentNotVerified,
    /// Support confirms the payment of the order.
    PaymentManual,
    /// There is no such order, or it belongs to another user.
    OrderNotFound,
    /// The order is paid or over, so it cannot be cancelled.
    OrderNotPending,
    /// The order is paid at a payment provider, which reports its payment.
    OrderNotManual,
    /// The order does not need a decision of support.
    OrderNeedsNoAttention,
    /// The order cannot be granted.
    OrderNotGrantable,
    /// The bank of the buyer disputes the payment. Wait until the dispute is over.
    OrderDisputed,
    /// The reference of the payment is blank, too long, or has characters that are not allowed.
    PaymentReferenceInvalid,
    /// The reference names the payment of another order.
    PaymentReferenceUsed,
}
