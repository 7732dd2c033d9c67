/** A message in the corner. It stays until it is closed or, unless it tells of a failure, for a few seconds. */

export type Kind = "ok" | "warn" | "danger";

const STAYS_MS = 6000;

export function showToast(message: string, kind: Kind): void {
  const toast = document.createElement("div");
  toast.className = `toast is-${kind}`;
  const text = document.createElement("p");
  text.textContent = message;
  const close = document.createElement("button");
  close.type = "button";
  close.className = "button is-quiet is-small";
  close.textContent = "Close";
  close.addEventListener("click", () => toast.remove());
  toast.append(text, close);
  document.getElementById("toasts")?.append(toast);
  if (kind !== "danger") setTimeout(() => toast.remove(), STAYS_MS);
}
