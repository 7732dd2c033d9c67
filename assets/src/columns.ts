/** A choice of columns is applied at once, and its menu stays open; with none ticked it waits for the first. */
import { onClick } from "./events.js";

const MENU = "columns-menu";

function boxesOf(form: Element): HTMLInputElement[] {
  return Array.from(form.querySelectorAll<HTMLInputElement>("input[name=columns]"));
}

document.addEventListener("change", (event) => {
  const box = event.target;
  const form = box instanceof HTMLInputElement && box.name === "columns" ? box.closest<HTMLFormElement>("form[data-columns]") : null;
  if (form && boxesOf(form).some((one) => one.checked)) form.requestSubmit();
});

onClick("[data-columns-none]", (button) => {
  const form = button.closest("form");
  if (form) for (const box of boxesOf(form)) box.checked = false;
});

// The menu is replaced with the rows.
let isOpen = false;
let focused = "";
let top = 0;

document.addEventListener("htmx:beforeSwap", () => {
  const menu = document.getElementById(MENU);
  isOpen = menu instanceof HTMLDetailsElement && menu.open;
  focused = menu?.contains(document.activeElement) ? (document.activeElement?.id ?? "") : "";
  top = menu?.querySelector(".menu-panel")?.scrollTop ?? 0;
});

document.addEventListener("htmx:afterSettle", () => {
  const menu = document.getElementById(MENU);
  if (!isOpen || !(menu instanceof HTMLDetailsElement)) return;
  isOpen = false;
  menu.open = true;
  const panel = menu.querySelector(".menu-panel");
  if (panel) panel.scrollTop = top;
  document.getElementById(focused)?.focus();
});
