// The tabs that a newcomer finds, in the order in which one uses them. Arguments stand in the text, not in
// variables: there is one place to fill in.

const catalogue = `# Welcome to jishu. Press ▶, or Ctrl-Enter.
# This query needs no account. The next tabs lead
# from here to the result of a test:
#
#   Register or SignIn   fills the field above
#   Purchase             buys subjects
#   MyTestCards          shows what you own
#   LiveTestCards        waits for new ones
#   StartTest            starts a sitting
#   TestClock            shows its time
#   SaveAnswers          keeps what you choose
#   SubmitTest           ends it: the result
#   MyProgress           how you are doing
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

const startTest = `# Starts a sitting of a test card, by its id from
# the MyTestCards tab. Running it again returns the
# sitting that is open: it counts once.
#
# The time runs, on the server's clock: compare
# expiresAt with serverTime, not with your own.

mutation StartTest {
  startTestSession(
    input: {
      mockTestAttemptId: ""
    }
  ) {
    resumed
    session {
      id
      attemptNumber
      serverTime
      expiresAt
      answerSequence
      questions {
        slot
        kind
        stem
        options {
          id
          text
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

const testClock = `# The clock of a sitting, by session.id from the
# StartTest tab: now, every ten seconds, and at each
# change, until the sitting is over.

subscription TestClock {
  testSessionClock(sessionId: "") {
    secondsRemaining
    status
    answerSequence
    serverTime
    expiresAt
  }
}
`;

const saveAnswers = `# Keeps answers, by session.id and options.id from
# the StartTest tab. A numeric question takes
# numericValue: "2.5" instead of optionIds.
#
# sequence is answerSequence and one more: 1, 2, 3…
# Running it again with the same one changes nothing.

mutation SaveAnswers {
  saveAnswers(
    input: {
      sessionId: ""
      sequence: 1
      answers: [
        { slot: 1, optionIds: [""] }
        { slot: 2, optionIds: [], flagged: true }
      ]
    }
  ) {
    superseded
    session {
      answerSequence
      questions {
        slot
        flagged
        answer {
          optionIds
          numericValue
          savedAt
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

const submitTest = `# Ends a sitting, by session.id from the StartTest
# tab, and shows the result and the key. Running it
# again returns the same result.

mutation SubmitTest {
  submitTestSession(
    input: {
      sessionId: ""
    }
  ) {
    session {
      status
      result {
        score
        maxScore
        percentage
        percentile
        correct
        wrong
        unanswered
        timeTakenSeconds
        byTopic {
          topic
          correct
          wrong
          unanswered
        }
      }
      questions {
        slot
        stem
        answer {
          optionIds
          numericValue
        }
        correctOptionIds
        correctValue
        marks
        explanation
      }
    }
    userErrors {
      code
      message
    }
  }
}
`;

const myProgress = `# How you are doing, over all tests that you have
# sat. Sign in first: without that, viewer is null.

query MyProgress {
  viewer {
    progress {
      testsTaken
      averagePercentage
      bestPercentage
      improvement
      bySubject {
        subject {
          name
        }
        totalCards
        available
        completed
        averagePercentage
        byTopic {
          topic
          correct
          wrong
          accuracy
        }
      }
      trend(last: 10) {
        percentage
      }
    }
  }
}
`;

/** The tabs of a first visit. */
export const defaultTabs = [
  ...[catalogue, register, signIn, purchase, myTestCards, liveTestCards],
  ...[startTest, testClock, saveAnswers, submitTest, myProgress],
].map((query) => ({ query }));
