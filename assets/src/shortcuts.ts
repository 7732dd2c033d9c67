/**
 * `?` lists the shortcuts, `g` and a key go to a page: the link with that key in data-go. Never while one types, and not at all
 * for a person who has switched single keys off.
 */
import { onClick } from "./events.js";

const WAIT_MS = 1500;
const OFF_KEY = "basewarden.keys";

export const isApple = /Mac|iPhone|iPad/.test(navigator.userAgent);

const dialog = document.getElementById("shortcuts");
let hasGone = 0;

export function areSingleKeysOff(): boolean {
  return localStorage.getItem(OFF_KEY) === "off";
}

export function openShortcuts(): void {
  if (!(dialog instanceof HTMLDialogElement)) return location.assign("/shortcuts");
  const choice = dialog.querySelector<HTMLInputElement>("[data-shortcuts-switch]");
  if (choice) choice.checked = !areSingleKeysOff();
  if (!dialog.open) dialog.showModal();
}

function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  const isKeyless = target instanceof HTMLInputElement && ["checkbox", "radio", "button", "submit", "reset"].includes(target.type);
  return target.isContentEditable || (target.matches("input, textarea, select") && !isKeyless);
}

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.repeat) return;
  if (isTyping(event.target) || document.querySelector("dialog[open]") || areSingleKeysOff()) return;
  if (event.key === "?" && dialog) {
    event.preventDefault();
    return openShortcuts();
  }
  const field = event.key === "/" ? document.querySelector<HTMLElement>("[data-slash]") : null;
  if (field?.checkVisibility()) {
    event.preventDefault();
    return field.focus();
  }
  if (event.key === "g") {
    hasGone = event.timeStamp;
    return;
  }
  const own = hasGone === 0 && /^[a-z]$/.test(event.key) ? document.querySelector<HTMLAnchorElement>(`a[data-key="${event.key}"]`) : null;
  const isSecond = hasGone > 0 && event.timeStamp - hasGone < WAIT_MS;
  hasGone = 0;
  const link = isSecond && /^[a-z,]$/.test(event.key) ? document.querySelector<HTMLAnchorElement>(`a[data-go="${event.key}"]`) : own;
  if (!link) return;
  event.preventDefault();
  link.click();
});

onClick("[data-shortcuts-open]", (opener, event) => {
  event.preventDefault();
  opener.closest<HTMLElement>("[popover]")?.hidePopover();
  openShortcuts();
});

document.addEventListener("change", (event) => {
  const choice = event.target;
  if (!(choice instanceof HTMLInputElement) || choice.dataset["shortcutsSwitch"] === undefined) return;
  if (choice.checked) localStorage.removeItem(OFF_KEY);
  else localStorage.setItem(OFF_KEY, "off");
});

for (const keys of document.querySelectorAll("[data-palette-keys]")) keys.textContent = isApple ? "⌘K" : "Ctrl K";
for (const keys of document.querySelectorAll("[data-new-tab-keys]")) keys.textContent = isApple ? "⌘ Enter" : "Ctrl Enter";
