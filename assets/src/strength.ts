/**
 * Says below a new password how hard it is to guess, as far as a page can tell; the server decides, with its lists of common
 * passwords. Nothing is sent: the estimate counts characters, without repetitions, sequences and words of the same form.
 */

const SHORTEST = 8;
const MOST_READ = 128;
const LONGEST_PERSONAL = 40;
const LEVELS: readonly [number, string][] = [
  [28, "Easy to guess. Add a few unrelated words."],
  [40, "Fair. A word more makes it strong."],
  [56, "Good."],
  [Infinity, "Strong."],
];
const CLASSES: readonly [RegExp, number][] = [
  [/\p{Lu}/u, 2.5],
  [/\p{L}/u, 2.5], // letters mostly form words
  [/\d/, 3.3],
  [/./su, 5],
];
const SWITCH_BITS = 1.5;

/** The words that everyone knows who knows the account: the name and the parts of the address. */
function listPersonal(form: HTMLFormElement): string[] {
  const fields = form.querySelectorAll<HTMLInputElement>("input[name=name], input[type=email]");
  const words = Array.from(fields, (field) => field.value.toLowerCase().slice(0, MOST_READ).split(/[^\p{L}\d]+/u)).flat();
  return ["basewarden", ...words].filter((word) => word.length > 3 && word.length <= LONGEST_PERSONAL);
}

function isSequence(before: number, last: number, next: number): boolean {
  return next - last === last - before && Math.abs(next - last) <= 1;
}

function estimateBits(text: string, personal: readonly string[]): number {
  let rest = text.slice(0, MOST_READ);
  for (const word of personal) rest = rest.replaceAll(new RegExp(word, "gi"), "");
  let bits = 0;
  let kind = -1;
  const codes = Array.from(rest, (character) => character.codePointAt(0) ?? 0);
  for (const [at, character] of Array.from(rest).entries()) {
    if (at > 1 && isSequence(codes[at - 2]!, codes[at - 1]!, codes[at]!)) continue;
    const found = CLASSES.findIndex(([pattern]) => pattern.test(character));
    bits += (CLASSES[found]?.[1] ?? 0) + (kind !== -1 && found !== kind ? SWITCH_BITS : 0);
    kind = found;
  }
  return bits;
}

function describe(text: string, form: HTMLFormElement): [number, string] {
  if (text.length < SHORTEST) return [0, `Too short: at least ${SHORTEST} characters.`];
  const bits = estimateBits(text, listPersonal(form));
  const level = LEVELS.findIndex(([most]) => bits < most);
  return [level + 1, LEVELS[level]![1]];
}

document.addEventListener("input", (event) => {
  const field = event.target;
  if (!(field instanceof HTMLInputElement) || !field.form) return;
  const line = field.form.querySelector<HTMLElement>(`[data-strength="${CSS.escape(field.id)}"]`);
  const words = line?.querySelector("[data-strength-words]");
  if (!line || !words) return;
  const [level, text] = describe(field.value, field.form);
  line.hidden = field.value === "";
  line.dataset["level"] = String(level);
  if (words.textContent !== text) words.textContent = text;
});
