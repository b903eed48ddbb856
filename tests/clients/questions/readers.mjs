// Readers of keys that share no code with the server. The reader of GIFT is the package `gift-pegjs`. The readers of
// Moodle XML and QTI parse XML with `@rgrove/parse-xml`, and find keys as the standards describe them.

import { parseXml } from "@rgrove/parse-xml";
import gift from "gift-pegjs";

/**
 * @typedef {object} Key
 * @property {string} id
 * @property {string[]} [correct] the texts of the correct options
 * @property {string[]} [wrong] the texts of the other options
 * @property {{ value: number, tolerance: number }} [number]
 * @property {string[]} [texts]
 * @property {boolean} [isCaseSensitive]
 */

const ENTITIES = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'", nbsp: "\u00a0" };

/** Returns the text that a reader of HTML sees. */
function visible(html) {
  const text = html.replace(/<[^>]*>/g, "");
  return text.replace(/&(?:#x([0-9a-f]+)|#(\d+)|(\w+));/gi, (whole, hex, decimal, name) => {
    if (hex) return String.fromCodePoint(Number.parseInt(hex, 16));
    return decimal ? String.fromCodePoint(Number(decimal)) : (ENTITIES[name] ?? whole);
  });
}

const plain = (text) => text.replace(/\s+/g, " ").trim();
const shown = (text, isHtml) => plain(isHtml ? visible(text) : text);

/** Returns the texts of the correct options and of the wrong options. */
function split(options) {
  const texts = (correct) => options.filter((option) => option.correct === correct).map((option) => option.text);
  return { correct: texts(true), wrong: texts(false) };
}

/**
 * Reads GIFT.
 * @returns {Key[]}
 */
export function readGift(text) {
  const questions = gift.parse(text).filter((question) => question.type !== "Category");
  return questions.map((question) => {
    const { id, type, choices, tags } = question;
    const of = ({ text, format }) => shown(text, format === "html");
    switch (type) {
      case "MC":
        return { id, ...split(choices.map((it) => ({ text: of(it.text), correct: it.isCorrect || it.weight > 0 }))) };
      case "TF":
        return { id, correct: [question.isTrue ? "True" : "False"], wrong: [question.isTrue ? "False" : "True"] };
      case "Numerical":
        return { id, number: giftNumber(Array.isArray(choices) ? choices[0].text : choices) };
      case "Short": {
        const texts = choices.map((choice) => plain(choice.text.text));
        return { id, texts, isCaseSensitive: tags?.includes("case:sensitive") ?? false };
      }
      default:
        throw new Error(`${id} is of the type ${type}`);
    }
  });
}

function giftNumber({ type, number, range, numberLow, numberHigh }) {
  switch (type) {
    case "simple":
      return { value: number, tolerance: 0 };
    case "range":
      return { value: number, tolerance: range };
    default:
      return { value: (numberLow + numberHigh) / 2, tolerance: (numberHigh - numberLow) / 2 };
  }
}

const elements = (node, name) => (node?.children ?? []).filter((child) => child.type === "element" && (!name || child.name === name));
const element = (node, name) => elements(node, name)[0];
const textOf = (node, name) => element(node, name)?.text ?? "";

/** Returns all elements below a node. */
function* below(node) {
  for (const child of elements(node)) {
    yield child;
    yield* below(child);
  }
}

/**
 * Reads Moodle XML.
 * @returns {Key[]}
 */
export function readMoodleXml(text) {
  const questions = elements(parseXml(text).root, "question").filter((question) => question.attributes.type !== "category");
  return questions.map((question) => {
    const id = textOf(question, "idnumber");
    const answers = elements(question, "answer").map((answer) => ({
      text: shown(textOf(answer, "text"), answer.attributes.format === "html"),
      correct: Number(answer.attributes.fraction) > 0,
      tolerance: Number(textOf(answer, "tolerance")),
    }));
    switch (question.attributes.type) {
      case "multichoice":
      case "multichoiceset":
      case "truefalse":
        return { id, ...split(answers) };
      case "numerical":
        return { id, number: { value: Number(answers[0].text), tolerance: answers[0].tolerance } };
      case "shortanswer": {
        const texts = answers.filter((answer) => answer.correct).map((answer) => answer.text.replaceAll("\\*", "*"));
        return { id, texts, isCaseSensitive: textOf(question, "usecase").trim() === "1" };
      }
      default:
        throw new Error(`${id} is of the type ${question.attributes.type}`);
    }
  });
}

/**
 * Reads items of QTI 3.0.
 * @returns {Key[]}
 */
export function readQti(text) {
  return elements(parseXml(text).root, "qti-assessment-item").map((item) => {
    const all = [...below(item)];
    const find = (name) => all.find((node) => node.name === name);
    const body = all.find((node) => node.attributes["data-text-format"]);
    const id = body.attributes["data-external-id"] ?? item.attributes.identifier;
    const declaration = find("qti-response-declaration");
    const values = elements(element(declaration, "qti-correct-response"), "qti-value").map((value) => value.text);
    if (declaration.attributes["base-type"] === "identifier") {
      const choices = all.filter((node) => node.name === "qti-simple-choice");
      // The parser has removed the markup, so the text is plain.
      const options = choices.map((node) => ({ text: plain(node.text), correct: values.includes(node.attributes.identifier) }));
      return { id, ...split(options) };
    }
    if (declaration.attributes["base-type"] === "string") {
      const entries = all.filter((node) => node.name === "qti-map-entry" && Number(node.attributes["mapped-value"]) > 0);
      const isCaseSensitive = entries.every((entry) => entry.attributes["case-sensitive"] !== "false");
      return { id, texts: entries.map((entry) => plain(entry.attributes["map-key"])), isCaseSensitive };
    }
    const tolerance = find("qti-equal")?.attributes.tolerance ?? "0";
    return { id, number: { value: Number(values[0]), tolerance: Number(tolerance.split(" ")[0]) } };
  });
}

/**
 * Reads Aiken, which has no ids and no formats. The stem stands for the id.
 * @returns {Key[]}
 */
export function readAiken(text) {
  const said = (line) => shown(line, line.startsWith("<p>"));
  return text
    .split(/\n\n+/)
    .filter((block) => block.trim() !== "")
    .map((block) => {
      const lines = block.trim().split("\n");
      const [, letter] = /^ANSWER: ([A-Z])$/.exec(lines.at(-1));
      const options = lines.slice(1, -1).map((line) => {
        const [, own, option] = /^([A-Z])[.)] (.*)$/.exec(line);
        return { text: said(option), correct: own === letter };
      });
      return { id: said(lines[0]), ...split(options) };
    });
}
