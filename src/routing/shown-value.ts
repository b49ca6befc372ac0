/** A value that a client sent, as a line for a person may show it: short, and nothing in it that a terminal acts on. */

const mostChars = 60;

/** Controls, marks that turn or hide text, separators of lines, halves of characters: told by their number. */
const unshowable = /[\p{C}\p{Zl}\p{Zp}]/gu;

const numbered = (char: string): string => {
  const hex = (char.codePointAt(0) ?? 0).toString(16).padStart(4, "0");
  return hex.length === 4 ? `\\u${hex}` : `\\u{${hex}}`;
};

/** The text with what a terminal might act on told by its number, such as \u001b. */
export const escaped = (text: string): string => text.replaceAll(unshowable, numbered);

/** The text in quotes, at most 60 characters of it and then how long it is. */
function shownText(text: string): string {
  const quoted = `"${escaped(text.slice(0, mostChars).replaceAll(/["\\]/g, "\\$&"))}"`;
  return text.length <= mostChars ? quoted : `${quoted}… (${text.length} characters)`;
}

/** A text in quotes, a number, true, false, null, "a list of 3", "an object of 2 fields", "missing". */
export function shownValue(value: unknown): string {
  if (value === undefined) return "missing";
  if (typeof value === "string") return shownText(value);
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value !== "object" || value === null) return String(value);
  const fields = Object.keys(value).length;
  return `an object of ${fields} ${fields === 1 ? "field" : "fields"}`;
}
