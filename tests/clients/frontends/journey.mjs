// The actions of a learner in a frontend. Each client library performs the same actions.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Session } from "../support/session.mjs";
import { password, startServer } from "../support/server.mjs";
import { connect, transports } from "./transports.mjs";

const cardsOfASubject = Array.from({ length: 50 }, (_, index) => index + 1);
const asha = { name: "Asha", email: "asha@example.com", password };

/**
 * Declares the tests of one client library.
 * @param {string} library its name
 * @param {(server, session: Session, subscriptions) => Frontend} createFrontend
 *
 * A frontend puts the tokens of `register` and `login` into the session, sends the session's headers with its requests,
 * and renews an expired token. It has these functions:
 * - `register(input)`, `login(input)`, `purchase(input)` and `viewer()` resolve to the value of the field.
 * - `cardsForward(size)` and `cardsBackward(size)` load page after page, and resolve to the test numbers that the
 *   client's cache then shows.
 * - `onCard(variables, listener)` subscribes, and returns a function that ends the subscription.
 * - `firstCard(subjectId, cached)`, `startTest(input)`, `saveAnswers(input)` and `submitTest(input)` sit a test.
 * - `onClock(sessionId, listener)` subscribes to the clock. At the end, its listener gets neither an error nor a clock.
 * - `cachedOptions()` returns the options in the client's cache. It is missing if the test cannot read the cache.
 * - `close()` closes the client.
 */
export function journey(library, createFrontend) {
  const open = async (t, transport = transports[0]) => {
    const server = await startServer(t);
    const session = new Session(server);
    const subscriptions = connect(transport, server, session);
    t.after(() => subscriptions.client.dispose());
    const openAnother = async () => {
      const frontend = await createFrontend(server, session, subscriptions.client);
      t.after(() => frontend.close());
      return frontend;
    };
    return { server, session, subscriptions, openAnother, frontend: await openAnother() };
  };

  /** Returns the input that buys a subject of the demo's first course. */
  const selection = async (server, at = 0) => {
    const [course] = await server.courses();
    return { courseId: course.id, purchaseType: "SINGLE_SUBJECT", subjectIds: [course.subjects[at].id] };
  };

  test(`${library} signs in, purchases once, and pages through the cards both ways`, async (t) => {
    const { server, session, frontend, openAnother } = await open(t);
    assert.equal(await frontend.viewer(), null);
    assert.equal((await frontend.register(asha)).user.name, "Asha");
    const registered = session.accessToken;
    assert.deepEqual((await frontend.login({ email: asha.email, password })).userErrors, []);
    assert.notEqual(session.accessToken, registered);
    assert.equal((await frontend.viewer()).email, asha.email);

    const input = await selection(server);
    const bought = await frontend.purchase(input);
    assert.deepEqual([bought.outcome, bought.testCardsCreated, bought.userErrors], ["CREATED", 50, []]);
    const again = await frontend.purchase(input);
    assert.deepEqual([again.outcome, again.testCardsCreated], ["EXISTING", 0]);
    assert.equal(again.purchase.id, bought.purchase.id);

    assert.deepEqual(await frontend.cardsForward(20), cardsOfASubject);
    // The second frontend has an empty cache.
    assert.deepEqual(await (await openAnother()).cardsBackward(15), cardsOfASubject);
  });

  test(`${library} gets user errors as data`, async (t) => {
    const { server, session, frontend } = await open(t);
    const wrong = await frontend.login({ email: asha.email, password });
    assert.deepEqual([wrong.user, wrong.tokens], [null, null]);
    assert.equal(wrong.userErrors[0].code, "INVALID_CREDENTIALS");
    assert.equal(session.tokens, null);

    await frontend.register(asha);
    const refused = await frontend.purchase({ ...(await selection(server)), cost: "1.00" });
    assert.deepEqual([refused.outcome, refused.purchase], [null, null]);
    const [error] = refused.userErrors;
    assert.deepEqual([error.__typename, error.code], ["PriceChangedError", "PRICE_CHANGED"]);
    assert.deepEqual([...error.path], ["input", "cost"]);
    assert.deepEqual({ ...error.quote.total }, { ...error.quote.total, amount: "499.00", currency: "INR" });
  });

  test(`${library} renews an expired token and repeats the request`, async (t) => {
    const { server, session, frontend } = await open(t);
    await frontend.register(asha);
    await session.expire();
    const expired = await server.post({ query: "{ viewer { id } }" }, session.headers);
    assert.equal(expired.status, 401, "the token has expired");

    const bought = await frontend.purchase(await selection(server));
    assert.equal(bought.outcome, "CREATED");
    assert.equal(session.renewals, 1);
    assert.equal((await frontend.viewer()).email, asha.email);
    assert.equal(session.renewals, 1);
  });

  for (const transport of transports) {
    test(`${library} sees the cards of a purchase arrive over ${transport}`, { timeout: 30_000 }, async (t) => {
      const { server, subscriptions, frontend } = await open(t, transport);
      await frontend.register(asha);
      const [course] = await server.courses();
      const [subject, other] = course.subjects;
      const arrived = new Map();
      const all = new Promise((resolve, reject) => {
        const end = frontend.onCard({ subjectId: subject.id }, (error, card) => {
          if (error) return reject(error);
          assert.equal(card.subject.id, subject.id, "an event is about another subject than the requested subject");
          arrived.set(card.testNumber, card);
          if (arrived.size === 50) resolve();
        });
        t.after(end);
      });
      // If the subscription fails before the purchase, the test must fail, too.
      await Promise.race([subscriptions.subscribed(), all]);
      await frontend.purchase(await selection(server, course.subjects.indexOf(other)));
      await frontend.purchase(await selection(server));
      await all;
      assert.deepEqual([...arrived.keys()].sort((a, b) => a - b), cardsOfASubject);
      assert.ok([...arrived.values()].every((card) => card.status === "AVAILABLE" && card.remainingAttempts === 3));
    });
  }

  test(`${library} sits a test from start to result`, { timeout: 60_000 }, async (t) => {
    const { server, session, subscriptions, frontend } = await open(t);
    await frontend.register(asha);
    // The course JEE Main also has numeric questions.
    const course = (await server.courses()).find(({ name }) => name === "JEE Main");
    const [subject] = course.subjects;
    await frontend.purchase({ courseId: course.id, purchaseType: "SINGLE_SUBJECT", subjectIds: [subject.id] });
    const card = await frontend.firstCard(subject.id);
    assert.deepEqual([card.status, card.remainingAttempts], ["AVAILABLE", 3]);

    const started = await frontend.startTest({ mockTestAttemptId: card.id });
    assert.deepEqual([started.resumed, started.userErrors], [false, []]);
    const sitting = started.session;
    assert.equal(sitting.questions.length, 10);
    assert.equal(Date.parse(sitting.expiresAt) - Date.parse(sitting.serverTime) > 890_000, true);
    // The client does not request the card again. Its cache finds the card by the id.
    const during = await frontend.firstCard(subject.id, true);
    assert.deepEqual([during.status, during.remainingAttempts], ["IN_PROGRESS", 2]);

    // Options of different questions have different ids, so the cache does not mix them up.
    const options = sitting.questions.flatMap(({ options }) => options);
    const { session: shown } = (await server.data(
      `mutation ($id: ID!) { startTestSession(input: { mockTestAttemptId: $id }) {
        session { questions { slot options { id text } } } } }`,
      { id: card.id },
      session.accessToken,
    )).startTestSession;
    const plain = (list) => list.map(({ slot, options }) => [slot, options.map(({ id, text }) => [id, text])]);
    assert.deepEqual(plain(sitting.questions), plain(shown.questions), "the cache shows the server's response");
    assert.equal(new Set(options.map(({ id }) => id)).size, options.length);
    if (frontend.cachedOptions) {
      const pairs = (list) => list.map((pair) => pair.join(" ")).sort();
      assert.deepEqual(pairs(frontend.cachedOptions()), pairs(options.map(({ id, text }) => [id, text])));
    }

    const seen = [];
    let wake = () => {};
    const over = new Promise((resolve, reject) => {
      const end = frontend.onClock(sitting.id, (error, clock) => {
        if (error) return reject(error);
        if (clock === null) return resolve();
        seen.push(clock);
        wake();
      });
      t.after(end);
    });
    /** Waits until an event of the clock meets a condition. */
    const clockShows = async (condition) => {
      while (!seen.some(condition)) await Promise.race([new Promise((resolve) => (wake = resolve)), over]);
    };
    await Promise.race([subscriptions.subscribed(), over]);
    await clockShows(({ status, secondsRemaining }) => status === "IN_PROGRESS" && secondsRemaining > 890);

    const answers = sitting.questions
      .slice(0, 6)
      .map(({ slot, kind, options }) =>
        kind === "NUMERIC" ? { slot, numericValue: "2.5" } : { slot, optionIds: [options[0].id], flagged: slot === 1 },
      );
    const saved = await frontend.saveAnswers({ sessionId: sitting.id, sequence: 1, answers });
    assert.deepEqual([saved.superseded, saved.userErrors, saved.session.answerSequence], [[], [], 1]);
    for (const { slot, answer, marks, correctOptionIds, correctValue, explanation } of saved.session.questions) {
      assert.equal(answer !== null, slot <= 6);
      assert.deepEqual([marks, correctOptionIds, correctValue, explanation], [null, null, null, null]);
    }
    assert.equal(saved.session.result, null);
    await clockShows(({ answerSequence }) => answerSequence === 1);

    const { session: ended, userErrors } = await frontend.submitTest({ sessionId: sitting.id });
    assert.deepEqual([ended.status, userErrors], ["SUBMITTED", []]);
    const { result } = ended;
    assert.equal(result.correct + result.wrong, 6);
    assert.equal(result.unanswered, 4);
    assert.deepEqual([result.maxScore, result.percentile], ["40.00", "100.0000000"]);
    assert.equal(Number(result.score), 4 * result.correct - result.wrong);
    const marks = ended.questions.reduce((sum, question) => sum + Number(question.marks), 0);
    assert.equal(marks, Number(result.score));
    for (const { kind, correctOptionIds, correctValue, explanation } of ended.questions) {
      assert.ok(kind === "NUMERIC" ? correctValue !== null : correctOptionIds.length > 0);
      assert.ok(explanation.length > 0);
    }
    await over;
    assert.deepEqual([seen.at(-1).status, seen.at(-1).secondsRemaining], ["SUBMITTED", 0]);
    const after = await frontend.firstCard(subject.id, true);
    assert.deepEqual([after.status, after.remainingAttempts], ["COMPLETED", 2]);
  });
}
