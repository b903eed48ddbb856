// The documents of the frontend on Relay. relay-compiler reads the documents from this file, which is never run.

graphql`
  mutation documentsRegisterMutation($input: RegisterInput!) {
    register(input: $input) { ...documents_signedIn @relay(mask: false) }
  }
`;

graphql`
  mutation documentsLoginMutation($input: LoginInput!) {
    login(input: $input) { ...documents_signedIn @relay(mask: false) }
  }
`;

graphql`
  fragment documents_signedIn on AuthPayload {
    user { id name email }
    tokens { accessToken accessTokenExpiresAt refreshToken }
    userErrors { code message path }
  }
`;

graphql`
  query documentsViewerQuery { viewer { id name email } }
`;

graphql`
  mutation documentsPurchaseMutation($input: PurchaseInput!) {
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

graphql`
  query documentsCardsQuery { viewer { id ...documents_cards @arguments(first: 20) } }
`;

graphql`
  query documentsLastCardsQuery { viewer { id ...documents_cards @arguments(last: 15) } }
`;

graphql`
  fragment documents_cards on User
  @argumentDefinitions(
    first: { type: "Int" }
    after: { type: "String" }
    last: { type: "Int" }
    before: { type: "String" }
  )
  @refetchable(queryName: "documentsMoreCardsQuery") {
    mockTestAttempts(first: $first, after: $after, last: $last, before: $before)
    @connection(key: "User_mockTestAttempts") {
      edges { node { ...documents_card @relay(mask: false) } }
      pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    }
  }
`;

graphql`
  fragment documents_card on MockTestAttempt {
    id
    testNumber
    status
    remainingAttempts
    subject { id name }
  }
`;

graphql`
  subscription documentsCardChangedSubscription($subjectId: ID) {
    mockTestAttemptChanged(subjectId: $subjectId) { ...documents_card @relay(mask: false) }
  }
`;

graphql`
  fragment documents_sitting on TestSession {
    id
    status
    attemptNumber
    expiresAt
    serverTime
    answerSequence
    mockTestAttempt { id status remainingAttempts }
    questions { ...documents_question @relay(mask: false) }
    result { score maxScore percentage percentile correct wrong unanswered timeTakenSeconds byTopic { topic correct } }
  }
`;

graphql`
  fragment documents_question on SessionQuestion {
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

graphql`
  query documentsFirstCardQuery($subjectId: ID!) {
    viewer {
      id
      mockTestAttempts(first: 1, filter: { subjectId: $subjectId }) { edges { node { ...documents_card @relay(mask: false) } } }
    }
  }
`;

graphql`
  mutation documentsStartTestMutation($input: StartTestSessionInput!) {
    startTestSession(input: $input) {
      resumed
      session { ...documents_sitting @relay(mask: false) }
      userErrors { code message path }
    }
  }
`;

graphql`
  mutation documentsSaveAnswersMutation($input: SaveAnswersInput!) {
    saveAnswers(input: $input) {
      superseded
      session { ...documents_sitting @relay(mask: false) }
      userErrors { code message path }
    }
  }
`;

graphql`
  mutation documentsSubmitTestMutation($input: SubmitTestSessionInput!) {
    submitTestSession(input: $input) {
      session { ...documents_sitting @relay(mask: false) }
      userErrors { code message path }
    }
  }
`;

graphql`
  subscription documentsClockSubscription($sessionId: ID!) {
    testSessionClock(sessionId: $sessionId) { serverTime expiresAt secondsRemaining status answerSequence }
  }
`;
