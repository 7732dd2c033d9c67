/** The title, the buttons and the chips of an undo count the conflicts that are settled by restoring the row. */
import { onArrival } from "./events.js";

function countRestored(): number {
  const shown = document.querySelectorAll('input[form="undo-form"][value="restore"]:checked').length;
  const later = document.querySelector<HTMLInputElement>("#choices-rest")?.value.split(" ").filter(Boolean).length ?? 0;
  return shown + later;
}

function nameCount(count: number, singular: string): string {
  return `${count.toLocaleString("en")} ${singular}${count === 1 ? "" : "s"}`;
}

function setText(selector: string, text: string): void {
  for (const element of document.querySelectorAll(selector)) element.textContent = text;
}

function showCounts(form: HTMLFormElement): void {
  const restored = countRestored();
  const free = Number(form.dataset["free"]) + restored;
  const kept = Number(form.dataset["kept"]) - restored;
  const verb = form.dataset["verb"] ?? "Undo";
  const short = `${verb} ${nameCount(free, "row")}`;
  setText("[data-undo-button]", short);
  for (const label of document.querySelectorAll("[data-undo-button]")) {
    const button = label.closest("button");
    if (button !== null) button.disabled = free === 0;
  }
  const title = kept ? `${short}, keep ${nameCount(kept, "newer edit")}` : short;
  setText("[data-undo-title]", free ? title : (form.dataset["nothing"] ?? verb));
}

/** Adds a row to what the undo does to its table, or takes it away again. */
function countInChip(choice: HTMLInputElement): void {
  const row = choice.closest<HTMLElement>("[data-counts]");
  const chip = document.querySelector<HTMLElement>(`[data-chip~="${row?.dataset["table"] ?? ""}"]`);
  const count = chip?.querySelector<HTMLElement>(`[data-count="${row?.dataset["counts"] ?? ""}"]`);
  if (!chip || !count) return;
  const text = count.textContent ?? "";
  const number = Number(text.replace(/\D/g, "")) + (choice.value === "restore" ? 1 : -1);
  count.textContent = text.charAt(0) + number.toLocaleString("en");
  count.hidden = number === 0;
  chip.hidden = chip.querySelector("b:not([hidden])") === null;
}

function findForm(): HTMLFormElement | null {
  return document.querySelector<HTMLFormElement>("#undo-form[data-free]");
}

document.addEventListener("change", (event) => {
  const form = findForm();
  const choice = event.target;
  if (form === null || !(choice instanceof HTMLInputElement) || !choice.name.startsWith("choice-")) return;
  showCounts(form);
  countInChip(choice);
});

document.addEventListener("click", (event) => {
  const button = event.target instanceof Element ? event.target.closest<HTMLButtonElement>('button[form="undo-form"]') : null;
  const form = findForm();
  if (button === null || form === null) return;
  if (button.name) form.dataset["step"] = "preview";
  else delete form.dataset["step"];
});

function showAll(): void {
  const form = findForm();
  if (form !== null && document.querySelector("#choices-rest") !== null) showCounts(form);
}

onArrival(showAll);
document.addEventListener("htmx:afterSettle", showAll);
