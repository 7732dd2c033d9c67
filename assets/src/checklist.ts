/** A list of boxes with data-checklist: a filter by words, a button that ticks what is shown, and a count. */
import { onArrival, onClick, within } from "./events.js";

function boxesOf(list: Element): HTMLInputElement[] {
  return Array.from(list.querySelectorAll<HTMLInputElement>("input[type=checkbox]"));
}

function shownOf(list: Element): HTMLInputElement[] {
  return boxesOf(list).filter((box) => box.closest<HTMLElement>(".checklist-item")?.hidden === false);
}

function update(list: Element): void {
  const boxes = boxesOf(list);
  const shown = shownOf(list);
  const count = list.querySelector("[data-checklist-count]");
  if (count) count.textContent = `${boxes.filter((box) => box.checked).length} of ${boxes.length} selected`;
  const button = list.querySelector("[data-checklist-all]");
  if (button) button.textContent = shown.length > 0 && shown.every((box) => box.checked) ? "Clear" : "Select all";
}

onClick("[data-checklist-all]", (button) => {
  const list = button.closest("[data-checklist]");
  if (!list) return;
  const shown = shownOf(list);
  const isFull = shown.every((box) => box.checked);
  for (const box of shown) box.checked = !isFull;
  shown[0]?.dispatchEvent(new Event("input", { bubbles: true }));
});

document.addEventListener("input", (event) => {
  const field = event.target;
  const list = field instanceof HTMLInputElement ? field.closest("[data-checklist]") : null;
  if (!list || !(field instanceof HTMLInputElement)) return;
  if (field.dataset["checklistFilter"] !== undefined) {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const box of boxesOf(list)) {
      const item = box.closest<HTMLElement>(".checklist-item");
      if (item) item.hidden = !words.every((word) => box.value.toLowerCase().includes(word));
    }
  }
  update(list);
});

document.addEventListener("keydown", (event) => {
  const field = event.target;
  if (event.key !== "Enter" || !(field instanceof HTMLInputElement)) return;
  if (field.dataset["checklistFilter"] !== undefined) event.preventDefault();
});

onArrival((part) => {
  for (const list of within(part, "[data-checklist]")) update(list);
});
