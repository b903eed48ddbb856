// Generates questions whose keys are known, and writes them in Moodle XML.

/** Returns a generator of numbers from 0 to 1 that repeats for the same seed (mulberry32). */
function random(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** Words with the signs that the formats must escape, and with letters of several scripts. */
const WORDS = [
  "force", "mass", "x=1", "~2", "#3", "{set}", "a:b", "50%", "a -> b", "// no", "\\frac", "R & D", "a < b", "b > a",
  "\"said\"", "it's", "नदी", "Fluß", "é", "水", "::t::", "1/2", "(i)", "`code`", "[x]", "=", "->", "$5", "@", "&amp;",
];

/** The sign of matching in GIFT. Accepted texts cannot contain it, and gift-pegjs misreads it in the first option. */
const ARROW = /->/g;

/**
 * @typedef {object} Question
 * @property {string} id
 * @property {"single" | "multiple" | "number" | "text"} kind
 * @property {boolean} isHtml whether its texts are HTML
 * @property {string} stem the visible text
 * @property {{ text: string, correct: boolean }[]} [options]
 * @property {{ value: number, tolerance: number }} [number]
 * @property {string[]} [texts] the accepted texts
 * @property {boolean} [isCaseSensitive]
 */

/**
 * Generates questions.
 * @returns {Question[]}
 */
export function generate(count, seed) {
  const next = random(seed);
  const below = (limit) => Math.floor(next() * limit);
  const words = (most) => Array.from({ length: 1 + below(most) }, () => WORDS[below(WORDS.length)]).join(" ");
  return Array.from({ length: count }, (_, index) => {
    const kind = ["single", "single", "multiple", "number", "text"][below(5)];
    const question = { id: `q${index}`, kind, isHtml: next() < 0.4, stem: `Question ${index}: ${words(5)}?` };
    if (kind === "number") {
      const value = (below(200_000) - 100_000) / 10 ** below(4);
      return { ...question, number: { value, tolerance: next() < 0.5 ? 0 : (1 + below(500)) / 100 } };
    }
    if (kind === "text") {
      const texts = Array.from({ length: 1 + below(3) }, (_, at) => `${words(2).replaceAll(ARROW, "to")} ${at}`);
      return { ...question, texts, isCaseSensitive: next() < 0.3 };
    }
    const options = Array.from({ length: 2 + below(5) }, (_, at) => ({ text: `${words(3).replaceAll(ARROW, "to")} ${at}`, correct: false }));
    options[below(options.length)].correct = true;
    if (kind === "multiple") options.forEach((option) => (option.correct ||= next() < 0.4));
    return { ...question, options };
  });
}

const escape = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");

/** Writes questions in Moodle XML. */
export function moodleXml(questions) {
  return `<?xml version="1.0" encoding="UTF-8"?>\n<quiz>\n${questions.map(written).join("\n")}\n</quiz>\n`;
}

function written(question) {
  const { id, kind, isHtml, stem, options = [], number, texts = [], isCaseSensitive } = question;
  const format = isHtml ? "html" : "plain_text";
  // A text that is HTML is escaped twice: as HTML, and then as XML.
  const shown = (text) => escape(isHtml ? `<p>${escape(text)}</p>` : text);
  const answer = (fraction, text, more = "") =>
    `<answer fraction="${fraction}" format="${format}"><text>${text}</text>${more}</answer>`;
  const share = 100 / options.filter((option) => option.correct).length;
  const parts = {
    single: () => `<single>true</single>${options.map((it) => answer(it.correct ? 100 : 0, shown(it.text))).join("")}`,
    multiple: () =>
      `<single>false</single>${options.map((it) => answer(it.correct ? share.toFixed(5) : -100, shown(it.text))).join("")}`,
    number: () => answer(100, number.value, `<tolerance>${number.tolerance}</tolerance>`),
    text: () => `<usecase>${isCaseSensitive ? 1 : 0}</usecase>${texts.map((text) => answer(100, escape(text))).join("")}`,
  };
  const type = { single: "multichoice", multiple: "multichoice", number: "numerical", text: "shortanswer" }[kind];
  return (
    `<question type="${type}"><name><text>${id}</text></name><idnumber>${id}</idnumber>` +
    `<questiontext format="${format}"><text>${shown(stem)}</text></questiontext>` +
    `<shuffleanswers>true</shuffleanswers>${parts[kind]()}</question>`
  );
}
