/**
 * The box in the corner of a grid, or in the bar of a list, ticks every row of the page; the bar says how many are selected, copies and clears them. Enter on a
 * box never sends a form.
 */
import { onClick } from "./events.js";
import { showToast } from "./toast.js";

const BOXES = ".tick input[name][form]";

function showCount(): void {
  const count = document.querySelectorAll(`${BOXES}:checked`).length;
  const all = document.querySelectorAll(BOXES).length;
  for (const text of document.querySelectorAll<HTMLElement>("[data-selected-count]")) text.textContent = count === all ? `All ${all} on this page selected` : `${count} selected`;
}

onClick("[data-clear-ticks]", () => {
  for (const tick of document.querySelectorAll<HTMLInputElement>(`${BOXES}:checked, [data-tick-all] input`)) tick.checked = false;
  showCount();
});

/** A button with data-copy-rows="<format>" copies what its own submission would save as a file. */
onClick("button[data-copy-rows]", (element, event) => {
  const button = element as HTMLButtonElement;
  if (!button.form) return;
  event.preventDefault();
  void copyRows(button, button.form);
});

async function copyRows(button: HTMLButtonElement, form: HTMLFormElement): Promise<void> {
  const query = new URLSearchParams([...new FormData(form, button)].map(([name, value]): [string, string] => [name, String(value)]));
  const count = query.getAll("key").length;
  try {
    const answer = await fetch(`${button.formAction}?${query}`, { headers: { "HX-Request": "true" } });
    const text = await answer.text();
    if (!answer.ok) return showToast((JSON.parse(text) as { message: string }).message, "danger");
    await navigator.clipboard.writeText(text);
    button.closest("details")?.removeAttribute("open");
    showToast(`${count} ${count === 1 ? "row" : "rows"} copied as ${button.dataset["copyRows"]}.`, "ok");
  } catch {
    showToast("The rows could not be copied. The browser may not allow it.", "danger");
  }
}

document.addEventListener("change", (event) => {
  const box = event.target;
  if (!(box instanceof HTMLInputElement)) return;
  const form = box.closest<HTMLElement>("[data-tick-all]")?.dataset["tickAll"];
  if (form !== undefined)
    for (const tick of document.querySelectorAll<HTMLInputElement>(`.tick input[name][form="${form}"]`)) tick.checked = box.checked;
  showCount();
});

document.addEventListener("keydown", (event) => {
  const box = event.target;
  if (event.key === "Enter" && box instanceof HTMLInputElement && box.type === "checkbox") event.preventDefault();
});
