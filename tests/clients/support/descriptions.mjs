// Rules for the language of the schema's descriptions, as far as a program can check them.

import { Kind } from "graphql";

const MAX_WORDS_PER_SENTENCE = 30;

/** Openings of sentences that hide the subject. */
const OPENINGS = /^(What|Who|Whose|Whom|Which|Where|Of the)\b/;

/** Turns of phrase that a reader has to decode. */
const PHRASES = [
  /(?<!there )\bis none\b/i,
  /(?<!there )\bis no (?!longer\b|more\b)\w+/i,
  /\b(?:is|are) to be\b/i,
  /\bso many\b/i,
  /\bas what\b/i,
  /\b(?:comes?|came) to\b/i,
  /\bcannot be so\b/i,
  /\bwhosever\b/i,
  /\bnought\b/i,
  /\b(?:is|are) told\b/i,
  /\bin per cent of\b/i,
];

/** Lists the descriptions of a document, each with the path of what it describes. */
export function described({ definitions }) {
  const found = [];
  const visit = (node, parents) => {
    const path = [...parents, node.name?.value];
    if (node.description) {
      found.push({ path: path.join("."), text: node.description.value.replace(/\s+/g, " ").trim(), node });
    }
    for (const child of [...(node.fields ?? []), ...(node.values ?? []), ...(node.arguments ?? [])]) {
      visit(child, path);
    }
  };
  definitions.forEach((definition) => visit(definition, []));
  return found;
}

/** Splits a text into sentences. A full stop inside a number or a code does not end a sentence. */
export function sentences(text) {
  return text.split(/(?<=[.!?]["`)]?)\s+(?=["`(]?[A-Z0-9`])/);
}

/** Lists the faults in the description of a node of the schema. */
export function faults(text, node) {
  const found = [];
  if (!/^[A-Z]/.test(text)) found.push("does not begin with an uppercase letter");
  if (!text.endsWith(".")) found.push("does not end with a full stop");
  for (const sentence of sentences(text)) {
    const opening = OPENINGS.exec(sentence);
    if (opening) found.push(`a sentence begins with "${opening[0]}"`);
    const words = sentence.split(" ").length;
    if (words > MAX_WORDS_PER_SENTENCE) found.push(`a sentence has ${words} words`);
  }
  for (const phrase of PHRASES) {
    const match = phrase.exec(text);
    if (match) found.push(`contains "${match[0]}"`);
  }
  const isField = node.kind === Kind.FIELD_DEFINITION;
  if (isField && node.type.kind !== Kind.NON_NULL_TYPE && !/\bnull\b/i.test(text)) {
    found.push("does not say when it is null");
  }
  if (/Seconds$/.test(node.name?.value ?? "") && !/\bseconds\b/.test(text)) {
    found.push("does not name the unit, seconds");
  }
  return found;
}
