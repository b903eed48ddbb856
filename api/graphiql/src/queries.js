// The tabs of a first visit, in the order of use. Arguments stand in the text, not in variables, so that there is
// one place to fill in. The lines of a comment have at most 39 characters, so that a phone does not break them.

import { staffDocuments } from "./staff-queries.js";

const catalogue = `# Welcome to jishu.
#
# This query lists the courses and
# their subjects. It needs no account.
# Press ▶ or Ctrl-Enter to run it.
#
# Use the other tabs in this order:
#
#  Register       creates an account
#  SignIn         signs in
#  Purchase       buys subjects
#  Checkout       buys with a payment
#  MyTestCards    lists your cards
#  LiveTestCards  shows card changes
#  StartTest      starts a sitting
#  TestClock      shows the time left
#  SaveAnswers    saves your answers
#  SubmitTest     ends the sitting
#  MyProgress     shows your progress
#
# Ctrl-Space completes a name. The book
# icon opens the documentation.
# Ctrl-M lets Tab leave the editor.
# Press it again to indent with Tab.

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
              version
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

const register = `# Creates an account and signs in.
#
# Fill in: a password of 8 characters
# or more. Change the name and the
# e-mail address.
#
# The access token then appears in the
# field at the top of the page. It is
# sent with every request from there.

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

const signIn = `# Signs in to an account.
#
# Fill in: the e-mail address and the
# password of the account.
#
# The access token then appears in the
# field at the top of the page. It is
# sent with every request from there.

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

const purchase = `# Buys subjects of one course. Each
# subject comes with its test cards.
#
# Sign in first. Then fill in, from the
# response in the Catalogue tab:
#
#  courseId    the id of the course
#  subjectIds  the ids of the subjects
#
# purchaseType sets how many subjects:
#
#  SINGLE_SUBJECT     one id
#  MULTIPLE_SUBJECTS  two ids or more
#  FULL_BUNDLE        no id: []
#
# Running it twice is safe: the second
# outcome is EXISTING, with the same
# cards, and nothing is bought again.

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

const checkout = `# Makes an order, if the server takes
# payments.
#
# Sign in first. Then fill in the same
# ids as in the Purchase tab.
#
# payment has what the form of the
# payment provider needs. The cards
# appear when the order is paid.

mutation Checkout {
  checkout(
    input: {
      selection: {
        courseId: ""
        purchaseType: SINGLE_SUBJECT
        subjectIds: [""]
      }
    }
  ) {
    outcome
    order {
      id
      status
      receiptNumber
      expiresAt
      total {
        amount
        currency
      }
    }
    payment {
      provider
      publicKey
      providerOrderId
      clientSecret
    }
    userErrors {
      code
      message
    }
  }
}
`;

const myTestCards = `# Lists your test cards: their status
# and the attempts that remain.
#
# Sign in first, or viewer is null.
# There is nothing to fill in.
#
# The StartTest tab needs the id of one
# of these cards.

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

const liveTestCards = `# Shows your test cards as they are
# created or change.
#
# Sign in first. There is nothing to
# fill in.
#
# Run it and leave it running. Then buy
# a subject in another window or on
# another device. The new cards appear
# here.
# Press ■ to stop.

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

const startTest = `# Starts a sitting of a test card, and
# shows its questions.
#
# Fill in: the id of a card, from the
# response in the MyTestCards tab.
#
# If a sitting is open already, this
# returns it and uses no new attempt.
#
# The time starts now. Subtract
# serverTime from expiresAt to get the
# time left. Your own clock may differ.

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

const testClock = `# Shows the time left in a sitting.
#
# Fill in: the id of the session, from
# the response in the StartTest tab.
#
# An update arrives at once, at every
# change, and after ten seconds without
# a change. Updates stop when the
# sitting is over or you press ■.

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

const saveAnswers = `# Saves answers of an open sitting.
#
# Fill in, from the response in the
# StartTest tab:
#
#  sessionId  the id of the session
#  optionIds  the ids of the options
#             that you choose
#
# In place of optionIds, NUMERIC
# takes numericValue: "2.5", and
# SHORT_ANSWER takes text: "Newton".
#
# sequence is the number of this batch:
# 1 for the first, then answerSequence
# plus 1. Sending a batch again changes
# nothing.

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
          text
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

const submitTest = `# Ends a sitting. Shows the score and
# the correct answers.
#
# Fill in: the id of the session, from
# the response in the StartTest tab.
#
# If you run it again, it returns the
# same result.

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
          text
        }
        correctOptionIds
        correctValue
        correctTexts
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

const myProgress = `# Shows your progress over all tests
# that you have finished.
#
# Sign in first, or viewer is null.
# There is nothing to fill in.

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

const ofLearners = [
  ...[catalogue, register, signIn, purchase, checkout, myTestCards, liveTestCards],
  ...[startTest, testClock, saveAnswers, submitTest, myProgress],
];

/** Returns the tabs that GraphiQL opens on a first visit. The role is the one in the access token, if there is one. */
export function defaultTabs(role) {
  const ofStaff = staffDocuments[String(role).toUpperCase()];
  const documents = ofStaff === undefined ? ofLearners : [...ofStaff, catalogue, signIn];
  return documents.map((query) => ({ query }));
}
