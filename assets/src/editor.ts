/**
 * The editor of one cell. Enter saves, Shift+Enter breaks the line; leaving it, by a click elsewhere or by Tab, saves what
 * was changed and closes it otherwise, so that no second one stays open. A link that was clicked waits for the save.
 */
import { hasUnsaved } from "./unsaved.js";

const FORM = "form.cell-form";
const saving = new WeakSet<HTMLFormElement>();
let next: string | null = null;

function editorOf(target: EventTarget | null): HTMLFormElement | null {
  return target instanceof Element ? target.closest<HTMLFormElement>(FORM) : null;
}

/** Saves, and follows the link if the server accepts it. */
export function saveAndGo(form: HTMLFormElement, href: string | null): void {
  next = href;
  save(form);
}

export function isPlainClick(event: MouseEvent, link: HTMLAnchorElement): boolean {
  return event.button === 0 && !(event.ctrlKey || event.metaKey || event.shiftKey || event.altKey || link.target);
}

function save(form: HTMLFormElement): void {
  if (!saving.has(form)) form.requestSubmit();
}

function leave(form: HTMLFormElement): void {
  if (!form.isConnected || form.contains(document.activeElement)) return;
  if (hasUnsaved(form)) save(form);
  else if (!saving.has(form)) form.querySelector<HTMLElement>("[data-cancel]")?.click();
}

document.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  const form = editorOf(event.target);
  if (!form || (event.target instanceof Element && event.target.matches("button, a"))) return;
  event.preventDefault();
  save(form);
});

document.addEventListener("focusout", (event) => {
  const form = editorOf(event.target);
  // Focus is gone from the window as a whole, or has not arrived yet where it goes.
  if (form && document.hasFocus()) setTimeout(() => leave(form));
});

document.addEventListener(
  "click",
  (event) => {
    const link = event.target instanceof Element ? event.target.closest<HTMLAnchorElement>("a[href]") : null;
    const form = document.querySelector<HTMLFormElement>(FORM);
    if (!link || !form || form.contains(link) || !hasUnsaved(form) || !isPlainClick(event, link)) return;
    event.preventDefault();
    event.stopPropagation();
    saveAndGo(form, link.href);
  },
  { capture: true },
);

document.addEventListener("htmx:beforeRequest", (event) => {
  if (event.target instanceof HTMLFormElement && event.target.matches(FORM)) saving.add(event.target);
});

document.addEventListener("htmx:afterRequest", (event) => {
  const { xhr, requestConfig } = (event as CustomEvent<{ xhr: XMLHttpRequest; requestConfig: { elt: Element } }>).detail;
  const form = requestConfig.elt;
  if (!(form instanceof HTMLFormElement) || !saving.delete(form)) return;
  const goal = next;
  next = null;
  if (goal && xhr.status >= 200 && xhr.status < 300) location.assign(goal);
});
