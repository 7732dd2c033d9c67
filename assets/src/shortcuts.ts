/**
 * `?` lists the shortcuts, from the page that has them; `g` and a key go to a page: the link with that key in data-go. Never while one types, and not at all
 * for a person who has switched single keys off.
 */
import { onClick } from "./events.js";

const WAIT_MS = 1500;
const OFF_KEY = "basewarden.keys";
const LIST = ".shortcut-groups";

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
  const body = dialog.querySelector("[data-shortcuts-body]");
  const isReady = !body || body.querySelector(LIST) !== null;
  // it opens with its list: nothing moves under the pointer
  if (isReady) show(dialog);
  else loadList(body).then(() => show(dialog), () => location.assign("/shortcuts"));
}

function show(opened: HTMLDialogElement): void {
  if (!opened.open) opened.showModal();
}

async function loadList(body: Element): Promise<void> {
  const answer = await fetch("/shortcuts");
  const list = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector(LIST);
  if (list === null) throw new Error(String(answer.status));
  if (body.querySelector(LIST)) return; // it was opened twice
  body.prepend(document.importNode(list, true));
  nameKeys(body);
}

function nameKeys(part: ParentNode): void {
  for (const keys of part.querySelectorAll("[data-palette-keys]")) keys.textContent = isApple ? "⌘K" : "Ctrl K";
  for (const keys of part.querySelectorAll("[data-new-tab-keys]")) keys.textContent = isApple ? "⌘ Enter" : "Ctrl Enter";
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

nameKeys(document);
