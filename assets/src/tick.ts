/** The box in a grid's corner ticks every row of the page; Enter on a box never sends a form. */

document.addEventListener("change", (event) => {
  const box = event.target;
  if (!(box instanceof HTMLInputElement)) return;
  const form = box.closest<HTMLElement>("[data-tick-all]")?.dataset["tickAll"];
  if (form === undefined) return;
  for (const tick of document.querySelectorAll<HTMLInputElement>(`input[name="key"][form="${form}"]`)) tick.checked = box.checked;
});

document.addEventListener("keydown", (event) => {
  const box = event.target;
  if (event.key === "Enter" && box instanceof HTMLInputElement && box.type === "checkbox") event.preventDefault();
});
