/**
 * The box in a grid's corner ticks every row of the page; the bar says how many are selected, and clears them; a list of
 * columns is ticked as a whole. Enter on a box never sends a form.
 */
import { onClick } from "./events.js";

function showCount(): void {
  const count = document.querySelectorAll('input[name="key"][form]:checked').length;
  for (const text of document.querySelectorAll<HTMLElement>("[data-selected-count]")) text.textContent = `${count} selected`;
}

document.addEventListener("change", (event) => {
  const box = event.target;
  if (!(box instanceof HTMLInputElement)) return;
  const form = box.closest<HTMLElement>("[data-tick-all]")?.dataset["tickAll"];
  if (form !== undefined)
    for (const tick of document.querySelectorAll<HTMLInputElement>(`input[name="key"][form="${form}"]`)) tick.checked = box.checked;
  showCount();
});

document.addEventListener("keydown", (event) => {
  const box = event.target;
  if (event.key === "Enter" && box instanceof HTMLInputElement && box.type === "checkbox") event.preventDefault();
});

onClick("[data-clear-selection]", () => {
  for (const box of document.querySelectorAll<HTMLInputElement>('input[name="key"][form], [data-tick-all] input')) box.checked = false;
  showCount();
});

onClick("[data-tick-columns]", (button) => {
  const boxes = button.closest("form")?.querySelectorAll<HTMLInputElement>('input[name="columns"]:not([type="hidden"])') ?? [];
  for (const box of boxes) box.checked = button.dataset["tickColumns"] === "all";
});
