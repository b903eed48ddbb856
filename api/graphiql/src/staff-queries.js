// The tabs of staff. A page that is opened with the token of an author, a member of support or an admin begins with
// them. To add a tab, write a document below, and name it in the list of its role at the end. The lines of a comment
// have at most 39 characters, so that a phone does not break them.

// ---------------------------------------------------------------- authors

const questionBank = `# Lists the questions of a subject
# with their keys.
#
# Fill in: the id of a subject, from
# the response in the Catalogue tab.

query QuestionBank {
  questions(subjectId: "", first: 10) {
    totalCount
    pageInfo {
      hasNextPage
      endCursor
    }
    edges {
      node {
        id
        externalId
        fixedTests
        current {
          number
          topic
          difficulty
          stem
          kind
          options {
            text
            correct
            keepsPosition
          }
          keepsOptionOrder
          correctValue
          correctTexts
          caseSensitive
        }
      }
    }
  }
}
`;

const importQuestions = `# Imports questions into the bank of a
# subject. With dryRun: true it only
# tells what it would do.
#
# Fill in: the id of a subject, from
# the response in the Catalogue tab.

mutation ImportQuestions {
  importQuestions(
    input: {
      subjectId: ""
      dryRun: true
      format: GIFT
      text: "// [id:capital-1]\\nThe capital of Japan is {=Tokyo ~Kyoto ~Osaka}."
    }
  ) {
    createdCount
    updatedCount
    unchangedCount
    refused {
      line
      reason
    }
    userErrors {
      code
      message
    }
  }
}
`;

const testSettings = `# Changes how the tests of a subject
# are made and marked. What you leave
# out stays as it is.
#
# Fill in: the id of a subject, from
# the response in the Catalogue tab.

mutation TestSettings {
  updateTestSettings(
    input: {
      subjectId: ""
      maxAttempts: 3
    }
  ) {
    subject {
      name
      markingScheme {
        correct
        wrong
        questionsPerTest
        timeLimitSeconds
        maxAttempts
      }
    }
    userErrors {
      code
      message
    }
  }
}
`;

const editSubject = `# Changes the price of a subject.
#
# Fill in, from the Catalogue tab:
#
#  id       the id of the subject
#  version  its version
#
# If somebody has changed the subject
# since, nothing is changed, and the
# error shows its current state. Run it
# twice to see that.

mutation EditSubject {
  updateSubject(
    input: {
      id: ""
      version: 1
      listPrice: "649.00"
      offer: {
        price: "549.00"
        endsAt: "2030-01-01T00:00:00Z"
      }
    }
  ) {
    subject {
      name
      version
      price {
        amount
      }
      offer {
        price {
          amount
        }
        startsAt
        endsAt
      }
    }
    userErrors {
      code
      message
      ... on StaleEditError {
        version
        subject {
          name
          listPrice {
            amount
          }
        }
      }
    }
  }
}
`;

// ---------------------------------------------------------------- support

const learner = `# Finds an account by its e-mail
# address, with its test cards. The
# audit trail records each look-up.
#
# The GrantExtraTime tab needs the
# mockTestAttemptId of one of the cards.

query Learner {
  learner(email: "learner@example.com") {
    name
    testCards(first: 20) {
      totalCount
      edges {
        node {
          mockTestAttemptId
          subject {
            name
          }
          testNumber
          status
          attemptsUsed
          maxAttempts
          extraSeconds
          expiresAt
        }
      }
    }
  }
}
`;

const grantExtraTime = `# Grants time or attempts to a test
# card. Both are totals, so running it
# twice changes nothing.
#
# Fill in: the id of a card, from the
# response in the Learner tab.

mutation GrantExtraTime {
  grantExtraTime(
    input: {
      mockTestAttemptId: ""
      extraSeconds: 600
    }
  ) {
    allowance {
      status
      extraSeconds
      maxAttempts
      attemptsUsed
      expiresAt
    }
    userErrors {
      code
      message
    }
  }
}
`;

// ---------------------------------------------------------------- admins

const sales = `# Shows what was sold and refunded.
#
# by takes COURSE, SUBJECT, DAY and
# MONTH in any combination. Days and
# months are those of the platform's
# time zone.

query Sales {
  salesReport(
    from: "2026-01-01T00:00:00Z"
    to: "2031-01-01T00:00:00Z"
    by: [MONTH, SUBJECT]
  ) {
    timeZone
    rows {
      month
      subject {
        name
      }
      currency
      purchases
      gross {
        amount
      }
      discount {
        amount
      }
      tax {
        amount
      }
      refunds {
        count
        amount {
          amount
        }
      }
      net {
        amount
      }
    }
  }
}
`;

const auditTrail = `# Shows who did what, newest first.
#
# The filter takes actorId, targetId,
# action, from and to. An action that
# ends with a dot, such as "purchase.",
# matches all that begin with it.

query AuditTrail {
  auditEvents(first: 20, filter: {}) {
    pageInfo {
      hasNextPage
      endCursor
    }
    edges {
      node {
        at
        actor {
          name
          role
        }
        action
        target {
          __typename
          id
        }
        before
        after
      }
    }
  }
}
`;

// ---------------------------------------------------------------- people

const people = `# Finds a user and shows what the
# user owns.
#
# Change the search: the start of an
# e-mail address, a part of a name, or
# an id.
#
# To help the user, run one of
#  grantPurchase    gives subjects
#  grantAllowance   gives time, attempts
#  setUserStatus    locks the account
#
# Each look at an account is recorded.

query People {
  users(first: 5, search: "learner@") {
    totalCount
    edges {
      node {
        id
        name
        email
        role
        status
        purchases(first: 5) {
          edges {
            node {
              id
              status
              complimentary
              subjects {
                name
              }
              cost {
                amount
                currency
              }
            }
          }
        }
        testSessions(first: 5) {
          edges {
            node {
              id
              status
              startedAt
              expiresAt
            }
          }
        }
      }
    }
  }
}
`;

const setRole = `# Gives an account another role.
#
# Fill in: the id of a user, from the
# response in the People tab.
#
# The role counts at the next request
# of the user. You cannot change your
# own role, and one admin remains.

mutation SetUserRole {
  setUserRole(userId: "", role: SUPPORT) {
    user {
      name
      email
      role
      status
    }
    userErrors {
      code
      message
    }
  }
}
`;

const ofAuthors = [editSubject, questionBank, importQuestions, testSettings];
const ofSupport = [people, learner, grantExtraTime];
const ofAdmins = [sales, auditTrail, setRole];

/** The documents of each role of staff, by the role in the access token. An admin may run all of them. */
export const staffDocuments = {
  AUTHOR: ofAuthors,
  SUPPORT: ofSupport,
  ADMIN: [...ofAdmins, ...ofSupport, ...ofAuthors],
};
