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
  close.className = "button is-quiet is-small";
  close.textContent = "Close";
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

onClick("[data-toast-close]", (closer) => closer.closest("[data-toast]")?.remove());
