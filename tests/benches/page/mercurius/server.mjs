// A server with Mercurius and JIT, which the bench `page` compares with jishu. It has no sign-in: a header names the
// learner. The bench starts this program, and sets its environment variables.
//
// The role `mercurius` reads a page with one hand-written join. The role `mercurius loaders` reads only the cards, and
// has a loader for the subjects and a loader for their courses, as the documentation of Mercurius advises.

import Fastify from "fastify";
import mercurius from "mercurius";
import pg from "pg";

// The pool has as many connections as jishu has for reading by default.
const pool = new pg.Pool({ connectionString: process.env.JISHU_BENCH_DATABASE, max: 8 });

const schema = `
  type Query { viewer: User! }
  type User { mockTestAttempts(first: Int!, after: String): MockTestAttemptConnection! }
  type MockTestAttemptConnection { edges: [MockTestAttemptEdge!]! pageInfo: PageInfo! }
  type MockTestAttemptEdge { cursor: String! node: MockTestAttempt! }
  type PageInfo { hasNextPage: Boolean! endCursor: String }
  type MockTestAttempt {
    id: ID! testNumber: Int! status: Status! maxAttempts: Int! attemptsUsed: Int! remainingAttempts: Int! subject: Subject!
  }
  enum Status { AVAILABLE IN_PROGRESS COMPLETED EXHAUSTED }
  type Subject { id: ID! name: String! course: Course! }
  type Course { id: ID! name: String! }
`;

// The names make node-postgres prepare each statement once for each connection.
const pageWithJoin = {
  name: "page with join",
  text: `SELECT a.id, a.test_number, a.status, a.max_attempts, a.attempts_used, s.id AS subject_id, s.name AS subject_name,
      c.id AS course_id, c.name AS course_name
    FROM mock_test_attempts a JOIN subjects s ON s.id = a.subject_id JOIN courses c ON c.id = s.course_id
    WHERE a.user_id = $1 AND (a.subject_id, a.test_number, a.id) > ($2, $3, $4)
    ORDER BY a.subject_id, a.test_number, a.id LIMIT $5`,
};
const page = {
  name: "page",
  text: `SELECT id, test_number, status, max_attempts, attempts_used, subject_id FROM mock_test_attempts
    WHERE user_id = $1 AND (subject_id, test_number, id) > ($2, $3, $4) ORDER BY subject_id, test_number, id LIMIT $5`,
};
const subjectsByIds = { name: "subjects", text: "SELECT id, name, course_id FROM subjects WHERE id = ANY($1)" };
const coursesByIds = { name: "courses", text: "SELECT id, name FROM courses WHERE id = ANY($1)" };

const hasLoaders = process.env.JISHU_BENCH_ROLE === "mercurius loaders";

function edge(row) {
  const node = {
    id: row.id,
    testNumber: row.test_number,
    status: row.status.toUpperCase(),
    maxAttempts: row.max_attempts,
    attemptsUsed: row.attempts_used,
    remainingAttempts: Math.max(row.max_attempts - row.attempts_used, 0),
  };
  if (hasLoaders) {
    node.subjectId = row.subject_id;
  } else {
    const course = { id: row.course_id, name: row.course_name };
    node.subject = { id: row.subject_id, name: row.subject_name, course };
  }
  return { cursor: `${row.subject_id}-${row.test_number}-${row.id}`, node };
}

const resolvers = {
  Query: { viewer: (_root, _args, { user }) => ({ user }) },
  User: {
    async mockTestAttempts({ user }, { first, after }) {
      const position = after ? after.split("-") : [0, 0, 0];
      const statement = hasLoaders ? page : pageWithJoin;
      const { rows } = await pool.query({ ...statement, values: [user, ...position, first + 1] });
      const edges = rows.slice(0, first).map(edge);
      return { edges, pageInfo: { hasNextPage: rows.length > first, endCursor: edges.at(-1)?.cursor ?? null } };
    },
  },
};

// Reads the rows of the distinct ids, and returns them in the order of `ids`.
async function byIds(statement, ids) {
  const { rows } = await pool.query({ ...statement, values: [[...new Set(ids)]] });
  const found = new Map(rows.map((row) => [row.id, row]));
  return ids.map((id) => found.get(id));
}

// Mercurius calls a loader once for all cards of a page. Its cache is off: a page then takes 8 % less time.
const opts = { cache: false };
const loaders = {
  MockTestAttempt: {
    subject: { loader: (queries) => byIds(subjectsByIds, queries.map(({ obj }) => obj.subjectId)), opts },
  },
  Subject: {
    course: { loader: (queries) => byIds(coursesByIds, queries.map(({ obj }) => obj.course_id)), opts },
  },
};

const app = Fastify();
await app.register(mercurius, {
  schema,
  resolvers,
  ...(hasLoaders && { loaders }),
  jit: 1,
  context: (request) => ({ user: request.headers["x-user"] }),
});
await app.listen({ host: "127.0.0.1", port: Number(process.env.JISHU_BENCH_PORT) });
