/** A search field with data-filter="<id>" shows, as one types, only the items of that element whose text has every word. */
document.addEventListener("input", (event) => {
  const field = event.target;
  if (!(field instanceof HTMLInputElement) || !field.dataset["filter"]) return;
  const whole = document.getElementById(field.dataset["filter"]);
  if (whole) filter(field, whole);
});

function filter(field: HTMLInputElement, whole: HTMLElement): void {
  const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
  const known = new Set<string>();
  const kept = new Set<string>();
  for (const item of whole.querySelectorAll<HTMLElement>("[data-filter-text]")) {
    const key = item.dataset["filterItem"] ?? "";
    const text = (item.dataset["filterText"] ?? "").toLowerCase();
    known.add(key);
    if (words.every((word) => text.includes(word))) kept.add(key);
  }
  for (const item of document.querySelectorAll<HTMLElement>("[data-filter-item]")) {
    const key = item.dataset["filterItem"] ?? "";
    if (known.has(key)) item.hidden = !kept.has(key);
  }
  for (const group of document.querySelectorAll<HTMLElement>("[data-filter-group]")) {
    group.hidden = group.querySelector("[data-filter-item]:not([hidden])") === null;
  }
  for (const rest of whole.querySelectorAll<HTMLElement>("[data-filter-rest]")) rest.hidden = words.length > 0;
  const note = document.getElementById(field.getAttribute("aria-describedby") ?? "");
  if (note) note.textContent = words.length === 0 ? "" : `${kept.size} ${kept.size === 1 ? "operation" : "operations"}`;
}
