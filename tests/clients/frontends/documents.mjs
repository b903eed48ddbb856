// The documents of the frontends on Apollo Client and urql. The tests in `schema/` also compile them with graphql-codegen.

const cardFields = `
  fragment CardFields on MockTestAttempt {
    id
    testNumber
    status
    remainingAttempts
    subject { id name }
  }
`;

const signedIn = `
  fragment SignedIn on AuthPayload {
    user { id name email }
    tokens { accessToken accessTokenExpiresAt refreshToken refreshTokenExpiresAt }
    userErrors { code message path }
  }
`;

export const register = `
  mutation Register($input: RegisterInput!) { register(input: $input) { ...SignedIn } }
  ${signedIn}
`;

export const login = `
  mutation Login($input: LoginInput!) { login(input: $input) { ...SignedIn } }
  ${signedIn}
`;

export const viewer = `
  query Viewer { viewer { id name email role } }
`;

export const purchase = `
  mutation Purchase($input: PurchaseInput!) {
    purchase(input: $input) {
      outcome
      message
      testCardsCreated
      purchase { id cost { amount currency } }
      userErrors {
        __typename
        code
        message
        path
        ... on PriceChangedError { quote { total { amount currency } } }
      }
    }
  }
`;

export const cards = `
  query Cards($first: Int, $after: String, $last: Int, $before: String) {
    viewer {
      id
      mockTestAttempts(first: $first, after: $after, last: $last, before: $before) {
        edges { cursor node { ...CardFields } }
        pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
      }
    }
  }
  ${cardFields}
`;

export const cardChanged = `
  subscription CardChanged($subjectId: ID) { mockTestAttemptChanged(subjectId: $subjectId) { ...CardFields } }
  ${cardFields}
`;

const sittingFields = `
  fragment SittingFields on TestSession {
    id
    status
    attemptNumber
    expiresAt
    serverTime
    answerSequence
    mockTestAttempt { id status remainingAttempts }
    questions { ...QuestionFields }
    result { score maxScore percentage percentile correct wrong unanswered timeTakenSeconds byTopic { topic correct } }
  }
  fragment QuestionFields on SessionQuestion {
    slot
    kind
    stem
    options { id text }
    answer { optionIds numericValue }
    flagged
    correctOptionIds
    correctValue
    explanation
    marks
  }
`;

export const firstCard = `
  query FirstCard($subjectId: ID!) {
    viewer { id mockTestAttempts(first: 1, filter: { subjectId: $subjectId }) { edges { node { ...CardFields } } } }
  }
  ${cardFields}
`;

export const startTestSession = `
  mutation StartTest($input: StartTestSessionInput!) {
    startTestSession(input: $input) { resumed session { ...SittingFields } userErrors { code message path } }
  }
  ${sittingFields}
`;

export const saveAnswers = `
  mutation SaveAnswers($input: SaveAnswersInput!) {
    saveAnswers(input: $input) { superseded session { ...SittingFields } userErrors { code message path } }
  }
  ${sittingFields}
`;

export const submitTestSession = `
  mutation SubmitTest($input: SubmitTestSessionInput!) {
    submitTestSession(input: $input) { session { ...SittingFields } userErrors { code message path } }
  }
  ${sittingFields}
`;

export const clock = `
  subscription Clock($sessionId: ID!) {
    testSessionClock(sessionId: $sessionId) { serverTime expiresAt secondsRemaining status answerSequence }
  }
`;
