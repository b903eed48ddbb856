// The tabs of support and admins. As in queries.js, the lines of a comment have at most 39 characters.

const support = `# Finds a user and shows what the
# user owns. For support and admins.
#
# Sign in with an account of support.
# Then change the search: the begin of
# an e-mail address, a part of a name,
# or an id.
#
# To help the user, run one of
#  grantPurchase    gives subjects
#  grantAllowance   gives time, attempts
#  setUserStatus    locks the account
#
# Each look at an account is recorded.

query Support {
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

const admin = `# Gives an account another role. For
# admins.
#
# Sign in with an account of an admin.
# Then fill in: the id of a user, from
# the response in the Support tab.
#
# The role counts at the next request
# of the user. You cannot change your
# own role, and one admin remains.

mutation Admin {
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

/** The tabs of support and admins. */
export const staffTabs = [support, admin].map((query) => ({ query }));
