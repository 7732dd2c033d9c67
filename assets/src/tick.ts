/** The box in a grid's corner ticks every row of the page. */

document.addEventListener("change", (event) => {
  const box = event.target;
  if (!(box instanceof HTMLInputElement)) return;
  const form = box.closest<HTMLElement>("[data-tick-all]")?.dataset["tickAll"];
  if (form === undefined) return;
  for (const tick of document.querySelectorAll<HTMLInputElement>(`input[name="key"][form="${form}"]`)) tick.checked = box.checked;
});
