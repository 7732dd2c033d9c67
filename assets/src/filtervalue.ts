/** In a form with data-filter-values the value is chosen from a list where the column says what it can be (data-values), and typed otherwise. */
import { onArrival, within } from "./events.js";

const EXACT = ["eq", "neq"];

function makeSelect(values: readonly string[], chosen: string): HTMLSelectElement {
  const select = document.createElement("select");
  select.className = "input";
  for (const value of values) select.append(new Option(value, value, false, value === chosen));
  return select;
}

function makeInput(value: string): HTMLInputElement {
  const input = document.createElement("input");
  input.className = "input data";
  input.autocomplete = "off";
  input.placeholder = "value";
  input.value = value;
  return input;
}

function update(form: HTMLElement): void {
  const column = form.querySelector<HTMLSelectElement>("select[name=column]")?.selectedOptions[0];
  const operator = form.querySelector<HTMLSelectElement>("select[name=operator]");
  const field = form.querySelector<HTMLInputElement | HTMLSelectElement>(".filter-value > .input");
  if (!column || !operator || !field) return;
  const values = EXACT.includes(operator.value) ? (JSON.parse(column.dataset["values"] ?? "[]") as string[]) : [];
  if (values.length === 0 && field instanceof HTMLInputElement) return;
  const next = values.length > 0 ? makeSelect(values, field.value) : makeInput("");
  next.name = "value";
  field.replaceWith(next);
}

document.addEventListener("change", (event) => {
  const choice = event.target;
  const form = choice instanceof HTMLSelectElement && choice.name !== "value" ? choice.closest<HTMLElement>("[data-filter-values]") : null;
  if (form) update(form);
});

onArrival((part) => {
  for (const form of within<HTMLElement>(part, "[data-filter-values]")) update(form);
});
