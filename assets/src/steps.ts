/**
 * A form with data-steps="<n>" shows its parts one at a time, beginning with the n-th: Next checks the fields of a part,
 * Enter goes on instead of sending, and the last part asks for a summary of the whole form by the event "summarise".
 */
import { onArrival, onClick, within } from "./events.js";
import { enableParts, summarise, summariseSoon } from "./parts.js";

const SENT_FOR_MS = 10_000;
const sent = new Set<HTMLFormElement>();

const FIRST_FIELD = "input:not([type=radio]):enabled, input[type=radio]:checked:enabled, select, textarea";

type Control = HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement;

function partsOf(form: HTMLFormElement): HTMLFieldSetElement[] {
  return Array.from(form.querySelectorAll<HTMLFieldSetElement>("[data-step]"));
}

function stepOf(form: HTMLFormElement): number {
  return Number(form.dataset["steps"]);
}

function formOf(element: Element): HTMLFormElement | null {
  return element.closest<HTMLFormElement>("form[data-steps]");
}

function show(form: HTMLFormElement, step: number): void {
  const parts = partsOf(form);
  form.dataset["steps"] = String(step);
  parts.forEach((part, index) => (part.hidden = index + 1 !== step));
  form.querySelectorAll<HTMLElement>("[data-step-name]").forEach((name, index) => {
    name.classList.toggle("is-done", index + 1 < step);
    if (index + 1 === step) name.setAttribute("aria-current", "step");
    else name.removeAttribute("aria-current");
  });
  const isLast = step === parts.length;
  hide(form, "[data-step-back]", step === 1);
  hide(form, "[data-step-next]", isLast);
  hide(form, "[data-step-submit]", !isLast);
  if (isLast) summarise(form);
}

function hide(form: HTMLFormElement, selector: string, isHidden: boolean): void {
  for (const element of form.querySelectorAll<HTMLElement>(selector)) element.hidden = isHidden;
}

/** Shows the first part, up to this one, with a field that the browser refuses; true where there is none. */
function isValid(form: HTMLFormElement, upTo: number): boolean {
  for (const [index, part] of partsOf(form).slice(0, upTo).entries()) {
    const wrong = Array.from(part.elements).find((field) => !(field as Control).checkValidity());
    if (!wrong) continue;
    show(form, index + 1);
    (wrong as Control).reportValidity();
    return false;
  }
  return true;
}

/** Shows the first part, up to this one, with a list of which nothing is chosen although its choice needs one. */
function isChosen(form: HTMLFormElement, upTo: number): boolean {
  for (const [index, part] of partsOf(form).slice(0, upTo).entries()) {
    const list = Array.from(part.querySelectorAll<HTMLFieldSetElement>("[data-needs-one]:enabled")).find(isEmpty);
    if (!list) continue;
    show(form, index + 1);
    complain(list);
    return false;
  }
  return true;
}

function isEmpty(list: HTMLFieldSetElement): boolean {
  return !Array.from(list.elements).some(
    (field) => (field instanceof HTMLInputElement && field.type === "checkbox" && field.checked) || (field instanceof HTMLTextAreaElement && field.value.trim() !== ""),
  );
}

function complain(list: HTMLFieldSetElement): void {
  let note = list.querySelector<HTMLElement>("[data-needs-one-note]");
  if (!note) {
    note = document.createElement("p");
    note.className = "field-error";
    note.dataset["needsOneNote"] = "";
    note.setAttribute("role", "alert");
    list.prepend(note);
  }
  note.textContent = list.dataset["needsOne"] ?? "";
  note.scrollIntoView({ block: "nearest" });
  list.querySelector<HTMLElement>("input, textarea")?.focus();
}

function go(form: HTMLFormElement, step: number): void {
  if (step > stepOf(form) && !(isValid(form, step - 1) && isChosen(form, step - 1))) return;
  show(form, step);
  partsOf(form)[step - 1]?.querySelector<HTMLElement>(FIRST_FIELD)?.focus({ preventScroll: true });
  showBeginning(form);
}

/** Each part begins where the first did: a page at its top, a dialog with its form. */
function showBeginning(form: HTMLFormElement): void {
  if (form.closest("dialog")) form.scrollIntoView({ block: "start" });
  else scrollTo(0, 0);
}

onClick("[data-step-next], [data-step-back]", (button) => {
  const form = formOf(button);
  if (form) go(form, stepOf(form) + (button.dataset["stepNext"] === undefined ? -1 : 1));
});

onClick("[data-step-go]", (button) => {
  const form = formOf(button);
  if (form) go(form, Number(button.dataset["stepGo"]));
});

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!(form instanceof HTMLFormElement) || form.dataset["steps"] === undefined) return;
  const last = partsOf(form).length;
  if (stepOf(form) < last) {
    event.preventDefault();
    go(form, stepOf(form) + 1);
  } else if (sent.has(form) || !isValid(form, last) || !isChosen(form, last)) event.preventDefault();
  else keepSent(form);
});

/** A second press would lose the answer to the first. */
function keepSent(form: HTMLFormElement): void {
  sent.add(form);
  setTimeout(() => sent.delete(form), SENT_FOR_MS);
}

// The browser may bring a page back as it was left.
addEventListener("pageshow", () => sent.clear());

/** A link with data-fill puts values into the form beside it; a name that was typed stays. */
onClick("form[data-steps] [data-fill]", (link, event) => {
  const form = formOf(link);
  if (!form) return;
  event.preventDefault();
  const all = Array.from(form.querySelectorAll<HTMLElement>("[data-fill]"), (one) => readValues(one));
  const names = new Set(["", ...all.map((values) => values["name"] ?? "")]);
  for (const [name, value] of Object.entries(readValues(link))) fill(form, name, value, names);
  for (const one of form.querySelectorAll("[data-fill]")) one.removeAttribute("aria-current");
  link.setAttribute("aria-current", "true");
  const name = form.querySelector<HTMLInputElement>("input[name=name]");
  name?.focus();
  name?.select(); // so that typing replaces the proposed name
});

function readValues(link: HTMLElement): Record<string, string> {
  return JSON.parse(link.dataset["fill"] ?? "{}") as Record<string, string>;
}

function fill(form: HTMLFormElement, name: string, value: string, ownNames: Set<string>): void {
  const field = form.elements.namedItem(name);
  if (field instanceof HTMLInputElement) {
    if (name === "name" && !ownNames.has(field.value)) return;
    field.value = value;
  } else if (field instanceof RadioNodeList) field.value = value;
  enableParts(form);
}

document.addEventListener("input", (event) => {
  const form = event.target instanceof Element ? formOf(event.target) : null;
  if (!form) return;
  for (const list of form.querySelectorAll<HTMLFieldSetElement>("[data-needs-one]")) {
    if (!isEmpty(list)) list.querySelector("[data-needs-one-note]")?.remove();
  }
  if (stepOf(form) === partsOf(form).length) summariseSoon(form);
});

onArrival((part) => {
  for (const form of within<HTMLFormElement>(part, "form[data-steps]")) {
    form.noValidate = true;
    show(form, stepOf(form));
    if (form.closest("dialog")) form.querySelector<HTMLInputElement>("input[name=name]")?.focus();
  }
});
