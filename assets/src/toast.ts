/** Messages in the corner. One stays until it is closed or, unless it reports a failure, for a few seconds. */
import { onArrival, onClick, within } from "./events.js";

export type Kind = "ok" | "warn" | "danger";

const STAYS_MS = 6000;
const STAYS_WITH_ACTION_MS = 12000;

export function showToast(message: string, kind: Kind): void {
  const toast = document.createElement("div");
  toast.className = `toast is-${kind}`;
  toast.dataset["toast"] = "";
  const text = document.createElement("p");
  text.textContent = message;
  const close = document.createElement("button");
  close.type = "button";
  close.className = "button is-quiet is-small is-square";
  close.textContent = "×";
  close.ariaLabel = "Close";
  close.dataset["toastClose"] = "";
  toast.append(text, close);
  document.getElementById("toasts")?.append(toast);
  leaveLater(toast);
}

function leaveLater(toast: HTMLElement): void {
  if (toast.classList.contains("is-danger")) return;
  const stays = toast.querySelector("form") ? STAYS_WITH_ACTION_MS : STAYS_MS;
  const leave = (): void => {
    // Nothing goes away under the hand that reaches for it.
    if (toast.matches(":hover, :focus-within")) setTimeout(leave, STAYS_MS);
    else toast.remove();
  };
  setTimeout(leave, stays);
}

onArrival((part) => {
  for (const toast of within<HTMLElement>(part, "#toasts > [data-toast]")) leaveLater(toast);
});

/** Ctrl-Z (Cmd-Z on a Mac) presses the newest toast that can undo, with Shift the newest that can redo, but never while typing. */
const isApple = /Mac|iPhone|iPad/.test(navigator.userAgent);

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || target.matches("input:not([type='checkbox'], [type='radio']), textarea, select"));
}

onArrival((part) => {
  if (isApple) for (const keys of within<HTMLElement>(part, "[data-undo-keys]")) keys.textContent = "⌘Z";
});

document.addEventListener("keydown", (event) => {
  if (event.key.toLowerCase() !== "z" || event.altKey || !(isApple ? event.metaKey : event.ctrlKey)) return;
  if (isTyping(event.target) || document.querySelector("dialog[open]")) return;
  const forms = document.querySelectorAll<HTMLFormElement>(`#toasts form[data-${event.shiftKey ? "redo" : "undo"}]`);
  const button = forms[forms.length - 1]?.querySelector<HTMLButtonElement>("button[type='submit']:not(:disabled)");
  if (!button) return;
  event.preventDefault();
  button.click();
});

// The address that led here names what was done, so that the toast works without script; a reload need not say it again.
const DONE = ["written", "undone"];

function forgetDone(): void {
  const here = new URL(location.href);
  if (!DONE.some((name) => here.searchParams.has(name))) return;
  for (const name of DONE) here.searchParams.delete(name);
  history.replaceState(history.state, "", here);
}

forgetDone();
document.addEventListener("htmx:replacedInHistory", forgetDone);

onClick("[data-toast-close]", (closer) => closer.closest("[data-toast]")?.remove());
