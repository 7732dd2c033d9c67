/**
 * Parts of a form that depend on a choice: one with data-enabled-by="<name>:<value>" is sent only with that choice. A form
 * with data-summarised says in words what it means, by the event "summarise", soon after it was changed.
 */
import { onArrival, within } from "./events.js";

const SUMMARISE_AFTER_MS = 300;
const timers = new WeakMap<HTMLFormElement, number>();

export function enableParts(form: HTMLFormElement): void {
  for (const part of form.querySelectorAll<HTMLFieldSetElement>("[data-enabled-by]")) {
    const [name, value] = (part.dataset["enabledBy"] ?? "").split(":");
    const field = form.elements.namedItem(name ?? "");
    part.disabled = field instanceof RadioNodeList && field.value !== value;
  }
}

export function summarise(form: HTMLFormElement): void {
  form.dispatchEvent(new CustomEvent("summarise"));
}

export function summariseSoon(form: HTMLFormElement): void {
  clearTimeout(timers.get(form));
  timers.set(form, setTimeout(() => summarise(form), SUMMARISE_AFTER_MS));
}

document.addEventListener("input", (event) => {
  const form = event.target instanceof Element ? event.target.closest<HTMLFormElement>("form") : null;
  if (!form) return;
  enableParts(form);
  if (form.dataset["summarised"] !== undefined) summariseSoon(form);
});

onArrival((part) => {
  for (const form of within<HTMLFormElement>(part, "form:has([data-enabled-by])")) enableParts(form);
});
