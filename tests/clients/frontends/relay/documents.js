// The documents of the frontend on Relay. relay-compiler reads them here; the file itself is not run.

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
