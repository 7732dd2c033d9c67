/**
 * A form with data-guarded does not lose what was typed into it unseen: leaving the page with it asks first. One with
 * data-saves-changes can be sent only while it differs from what is saved.
 */
import { hasUnsavedDraft } from "./draft.js";
import { onArrival, within } from "./events.js";

const sent = new WeakSet<HTMLFormElement>();

/** A field without a name is not sent, and one with data-unsaved="no" only helps to fill others. */
function isChanged(field: Element): boolean {
  if (!field.getAttribute("name") || (field instanceof HTMLElement && field.dataset["unsaved"] === "no")) return false;
  if (field instanceof HTMLInputElement) {
    const isTick = field.type === "checkbox" || field.type === "radio";
    return isTick ? field.checked !== field.defaultChecked : field.type !== "hidden" && field.value !== field.defaultValue;
  }
  if (field instanceof HTMLTextAreaElement) return field.value !== field.defaultValue;
  if (!(field instanceof HTMLSelectElement)) return false;
  const options = Array.from(field.options);
  const first = options.find((option) => option.defaultSelected) ?? options[0];
  return first !== undefined && !first.selected;
}

/** Whether it holds what is not saved; what was refused is not saved, either. */
export function hasUnsaved(form: HTMLFormElement): boolean {
  return form.dataset["refused"] !== undefined || Array.from(form.elements).some(isChanged);
}

// How many fields differ from what is saved, beside the button that saves them.
document.addEventListener("input", (event) => {
  const form = event.target instanceof Element ? event.target.closest<HTMLFormElement>("form[data-guarded]") : null;
  const note = form?.querySelector("[data-changed-count]");
  if (!form || !note) return;
  const names = Array.from(form.elements).filter(isChanged).map((field) => (field.getAttribute("name") ?? "").slice(2));
  const count = new Set(names).size;
  note.textContent = count === 0 ? (form.dataset["refused"] === undefined ? "No changes yet" : "Not saved yet") : count === 1 ? "1 field changed" : `${count} fields changed`;
});

function offerToSave(form: HTMLFormElement): void {
  const button = form.querySelector<HTMLButtonElement>("button[type='submit']");
  if (button) button.disabled = !hasUnsaved(form);
}

function listSaving(part: Element): HTMLFormElement[] {
  return within<HTMLFormElement>(part, "form[data-saves-changes]");
}

onArrival((part) => listSaving(part).forEach(offerToSave));

document.addEventListener("input", (event) => {
  const form = event.target instanceof Element ? event.target.closest<HTMLFormElement>("form[data-saves-changes]") : null;
  if (form) offerToSave(form);
});

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form instanceof HTMLFormElement && form.dataset["guarded"] !== undefined && !form.hasAttribute("hx-post")) sent.add(form);
});

// The browser may bring a page back as it was left: then nothing of it has been sent.
addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll<HTMLFormElement>("form[data-guarded]")) sent.delete(form);
  listSaving(document.body).forEach(offerToSave);
});

addEventListener("beforeunload", (event) => {
  const forms = Array.from(document.querySelectorAll<HTMLFormElement>("form[data-guarded]"));
  if (hasUnsavedDraft() || forms.some((form) => !sent.has(form) && hasUnsaved(form))) event.preventDefault();
});
