// The tabs that a newcomer finds, in the order in which one uses them. Arguments stand in the text, not in
// variables: there is one place to fill in.

const catalogue = `# Welcome to jishu. Press ▶, or Ctrl-Enter.
# This query needs no account. The next tabs lead
# from here to a test card:
#
#   Register or SignIn   fills the field above
#   Purchase             buys subjects
#   MyTestCards          shows what you own
#   LiveTestCards        waits for new ones
#
# Ctrl-Space completes. The book at the left
# opens the documentation.

query Catalogue {
  courses(first: 10) {
    edges {
      node {
        id
        name
        bundlePrice {
          amount
          currency
        }
        subjects(first: 10) {
          edges {
            node {
              id
              name
              price {
                amount
                currency
              }
              totalMockTests
            }
          }
        }
      }
    }
  }
}
`;

const register = `# Makes an account and signs in: the access token
# goes into the field above by itself.

mutation Register {
  register(
    input: {
      name: "Asha"
      email: "asha@example.com"
      password: ""
    }
  ) {
    user {
      name
      email
    }
    tokens {
      accessToken
      accessTokenExpiresAt
    }
    userErrors {
      code
      message
    }
  }
}
`;

const signIn = `# Signs in: the access token goes into the field
# above by itself.

mutation SignIn {
  login(
    input: {
      email: "asha@example.com"
      password: ""
    }
  ) {
    user {
      name
      email
    }
    tokens {
      accessToken
      accessTokenExpiresAt
    }
    userErrors {
      code
      message
    }
  }
}
`;

const purchase = `# Buys subjects of one course. Sign in first, and
# copy the ids from the answer in the Catalogue tab.
#
#   SINGLE_SUBJECT      one id in subjectIds
#   MULTIPLE_SUBJECTS   two or more
#   FULL_BUNDLE         none: the whole course
#
# Running it twice is safe: the second answer is
# EXISTING, with the same cards.

mutation Purchase {
  purchase(
    input: {
      courseId: ""
      purchaseType: SINGLE_SUBJECT
      subjectIds: [""]
    }
  ) {
    outcome
    message
    testCardsCreated
    purchase {
      id
      cost {
        amount
        currency
      }
    }
    testCards(first: 5) {
      edges {
        node {
          id
          testNumber
          status
        }
      }
    }
    userErrors {
      code
      message
    }
  }
}
`;

const myTestCards = `# Your test cards. Sign in first: without that,
# viewer is null.

query MyTestCards {
  viewer {
    name
    mockTestAttempts(first: 20) {
      totalCount
      pageInfo {
        hasNextPage
        endCursor
      }
      edges {
        node {
          id
          subject {
            name
          }
          testNumber
          status
          remainingAttempts
          latestPercentage
        }
      }
    }
  }
}
`;

const liveTestCards = `# Waits for test cards and shows each as it comes.
# Sign in, run this, and purchase in another window
# or on another device.

subscription LiveTestCards {
  mockTestAttemptChanged {
    id
    subject {
      name
    }
    testNumber
    status
  }
}
`;

/** The tabs of a first visit. */
export const defaultTabs = [catalogue, register, signIn, purchase, myTestCards, liveTestCards].map((query) => ({ query }));
