//! The codes of expected outcomes.

use async_graphql::Enum;

/// The kind of an expected error, for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub(in crate::graphql) enum ErrorCode {
    /// The name is blank or too long, or it contains control characters or invisible characters.
    NameInvalid,
    /// The e-mail address is not well-formed. `requestGuardianConsent` also uses this code if `guardianEmail` is
    /// the address of the account itself.
    EmailInvalid,
    /// Another account has this e-mail address. Sign in to that account, or give another address.
    EmailTaken,
    /// The password is too short or too long, or it is the e-mail address of the account.
    PasswordInvalid,
    /// The e-mail address or the password is wrong. For safety, the error does not say which. `login` also uses this
    /// code for a deactivated account, and, if the server requires verified addresses, for an account that has not
    /// verified its address.
    InvalidCredentials,
    /// The link is unknown, used or expired, or its account has changed since. Ask for a new link.
    LinkInvalid,
    /// The account must verify its e-mail address before it can set up a second factor, link an identity or ask a
    /// guardian. `login` no longer uses this code, because the code told strangers which addresses have accounts.
    EmailNotVerified,
    /// The link works, but the request must be signed in to the account of the link, or send the password of that
    /// account.
    PasswordRequired,
    /// The change needs the password of the account, or a sign-in within the last 10 minutes.
    RecentSignInRequired,
    /// The account has a second factor. Complete the sign-in with `completeLogin`.
    SecondFactorRequired,
    /// The code of the app or the recovery code is wrong, or it was used before. For safety, the error does not say
    /// whether the code was used before.
    SecondFactorCodeInvalid,
    /// The challenge of the sign-in is unknown, used or expired, or too many codes were tried. Sign in again.
    ChallengeInvalid,
    /// The account has a second factor already.
    SecondFactorAlreadyOn,
    /// The account has no second factor.
    SecondFactorNotOn,
    /// No second factor waits to be confirmed, or it has waited for more than an hour. Begin with `beginTwoFactor`.
    SecondFactorNotBegun,
    /// The operator has not configured an issuer of OpenID Connect.
    OidcNotSetUp,
    /// The operator has not allowed the address in `redirectUri`.
    RedirectNotAllowed,
    /// The issuer of OpenID Connect does not respond, or its response cannot be used. Try again later, or sign in with
    /// the password.
    OidcUnavailable,
    /// The sign-in at the issuer is unknown, used or expired, it began in another browser, or the issuer or the
    /// server refused it. Begin again.
    OidcLoginInvalid,
    /// The issuer does not confirm that it has verified the e-mail address of the person. Verify the address at the
    /// issuer.
    OidcEmailNotVerified,
    /// An account with this e-mail address exists, but the account has not verified the address.
    OidcAccountExists,
    /// The account at the issuer is linked to another account of this server. If `completeLogin` responds with this
    /// code, sign in again: the link was made after the sign-in began.
    OidcIdentityTaken,
    /// The account of the viewer has no linked identity with this id.
    OidcIdentityNotFound,
    /// The viewer has no session with this id, or the session has ended.
    SessionNotFound,
    /// The e-mail address is verified already.
    EmailAlreadyVerified,
    /// The refresh token is unknown, expired, revoked or already used. Sign in again.
    RefreshTokenInvalid,
    /// There is no such course.
    CourseNotFound,
    /// The course is no longer sold.
    CourseArchived,
    /// The course has no bundle price. Buy single subjects of the course instead.
    NotSoldAsBundle,
    /// The course has no subject that is sold.
    CourseEmpty,
    /// There is no such subject.
    SubjectNotFound,
    /// The subject is no longer sold.
    SubjectArchived,
    /// The subject belongs to another course. A purchase covers one course.
    SubjectNotInCourse,
    /// The number of subjects does not fit the purchase type, or exceeds the maximum. For a refund, the code means that
    /// the list of subjects is empty.
    SubjectCountMismatch,
    /// A subject is listed more than once.
    SubjectRepeated,
    /// The user already owns the subject, so `addToCart` added nothing. Purchases and grants leave out such subjects
    /// without this error.
    SubjectOwned,
    /// The cart has no room for the subjects. Buy or remove some subjects first.
    CartFull,
    /// The price differs from the `cost` in the request. Show the new quote to the buyer.
    PriceChanged,
    /// The idempotency key was used for a different request. Make a new key for each purchase, order, grant and refund.
    IdempotencyKeyReused,
    /// There is no such purchase.
    PurchaseNotFound,
    /// The subject is not part of the purchase.
    SubjectNotInPurchase,
    /// The subject was refunded before.
    AlreadyRefunded,
    /// The year of birth is missing. Send `birthYear` with `register` or with `updateProfile`.
    BirthYearRequired,
    /// The year of birth is in the future, or too long ago.
    BirthYearInvalid,
    /// The account already has another year of birth, which only the operator can correct.
    BirthYearFixed,
    /// A parent or guardian must consent first. Ask for the consent with `requestGuardianConsent`.
    GuardianConsentRequired,
    /// The account needs no consent of a guardian, or a guardian has consented already.
    GuardianConsentNotNeeded,
    /// The guardian has revoked the consent. Only the same guardian can consent again.
    GuardianConsentRevoked,
    /// The account was deleted or deactivated.
    AccountInactive,
    /// There is no such account, or it was deleted.
    UserNotFound,
    /// The account belongs to the viewer, and nobody can change their own account in this way.
    OwnAccount,
    /// The account belongs to a member of staff. Only an admin can change the account.
    UserIsStaff,
    /// The account is the last active admin. Make another account an admin first.
    LastAdmin,
    /// There is no such test card. `startTestSession` also uses this code for a test card of another user.
    MockTestAttemptNotFound,
    /// The grant is empty. Give `extraSeconds`, `maxAttempts` or both.
    NothingToGrant,
    /// The allowance names neither a user nor a subject nor a course, or it names both a subject and a course.
    AllowanceScopeInvalid,
    /// The extra time is out of range.
    ExtraSecondsInvalid,
    /// The number of attempts is out of range, or lower than the number of attempts used.
    MaxAttemptsInvalid,
    /// All attempts of the test card are used.
    AttemptsExhausted,
    /// The subject of the test card was refunded, or the purchase that gave the card has expired. Buy the subject
    /// again.
    EntitlementEnded,
    /// The question bank has too few questions to make the test. An author must add questions.
    TooFewQuestions,
    /// There is no such sitting, or it belongs to another user.
    TestSessionNotFound,
    /// The sitting is over. Read `session.result`.
    TestSessionClosed,
    /// The deadline of the sitting passed more than a few seconds ago, so answers and extra time are refused. The
    /// server scores the answers that were saved before.
    TestSessionOverdue,
    /// An answer does not fit the question in its slot, or its slot or time is out of range. Or the batch is empty, too
    /// large or has an invalid number. No answer of the batch was saved.
    AnswerInvalid,
    /// Another tab or device has changed some of these answers, so `submitTestSession` saved nothing. Read
    /// `session.answerSequence`, add 1, and submit again.
    AnswersSuperseded,
    /// A test setting is out of range, has too many decimal places, contradicts another setting or names an unknown
    /// topic. Or no setting was given.
    TestSettingsInvalid,
    /// The format of the file was not recognised. Set `format`.
    QuestionFormatUnknown,
    /// The file as a whole cannot be read in its format, the file has no questions, or more than 1000 questions were
    /// refused and none was accepted. Or `package` is not a ZIP file in base64. Or `text` and `package` are both given
    /// or both missing.
    QuestionsUnreadable,
    /// There is no such question.
    QuestionNotFound,
    /// The question already has this key and, if one was given, this explanation. So has every fixed test that asks the
    /// question.
    QuestionKeyUnchanged,
    /// The key does not fit the question, or the request has no key or more than one.
    QuestionKeyInvalid,
    /// The options of the new key belong to an older version of the question. Read the question again.
    QuestionOutdated,
    /// The explanation is too long, has control characters other than line breaks and tabs, or shows a file that the
    /// server cannot keep.
    ExplanationInvalid,
    /// The reason is blank or too long, or it contains control characters other than line breaks and tabs.
    ReasonInvalid,
    /// The topic is blank or too long, or it contains control characters or invisible characters.
    TopicInvalid,
    /// Somebody has changed the course or the subject since the viewer read it. Compare the edit with the current
    /// state, and send the edit again with the current version.
    StaleEdit,
    /// Another course has this code, or another subject of the same course has it.
    CodeTaken,
    /// The code is malformed.
    CodeInvalid,
    /// The course or the subject has another code already, and a code never changes.
    CodeFixed,
    /// The description is too long, or it contains control characters other than line breaks and tabs.
    DescriptionInvalid,
    /// ISO 4217 has no currency with this code.
    CurrencyInvalid,
    /// The price is out of range, or it has more decimal places than its currency allows.
    PriceInvalid,
    /// The offer costs more than the list price, does not end after its start, or has a time that is too early or too
    /// late.
    OfferInvalid,
    /// The number of days is out of range.
    ValidityDaysInvalid,
    /// The number of mock tests is out of range.
    TotalMockTestsInvalid,
    /// The subjects cost money and must be paid for first. Call `checkout`.
    PaymentRequired,
    /// The platform takes no payments. Call `purchase`.
    PaymentsNotConfigured,
    /// Too many orders of the user wait for their payment. Pay or cancel some of these orders.
    TooManyOrders,
    /// The payment provider is not ready for the order, or did not cancel it. Send the same request again. Repeat
    /// `checkout` with the same `idempotencyKey`.
    PaymentProviderUnavailable,
    /// The payment provider refused the order, so the server cancelled it. Contact support.
    PaymentProviderRefused,
    /// The signature from the provider's form does not prove a payment of this order, or the provider has not made the
    /// order yet.
    PaymentNotVerified,
    /// The order has the provider MANUAL: support confirms its payment, so `confirmPayment` cannot.
    PaymentManual,
    /// There is no such order. `cancelOrder` and `confirmPayment` also use this code for an order of another user.
    OrderNotFound,
    /// The order no longer waits for its payment, so it cannot be cancelled. Or the order was paid before, so it
    /// cannot be marked as paid with another reference.
    OrderNotPending,
    /// The order does not have the provider MANUAL, so support cannot mark it as paid. A payment provider reports the
    /// payment, or the order is free.
    OrderNotManual,
    /// The order does not have the status NEEDS_ATTENTION, so support cannot decide about it.
    OrderNeedsNoAttention,
    /// The order cannot be granted: its buyer is not active, no subject can be granted, no payment in its currency has
    /// enough money left, or a refund is under way. Choose REFUND or REFUND_BY_HAND.
    OrderNotGrantable,
    /// The bank of the buyer disputes a payment of the order. Wait until the dispute is over.
    OrderDisputed,
    /// The reference of the payment is blank, too long, or has characters that are not allowed.
    PaymentReferenceInvalid,
    /// The reference names the payment of another order.
    PaymentReferenceUsed,
}
