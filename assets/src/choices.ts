/** The title and the buttons of an undo count the conflicts that are settled by restoring the row. */

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
  const short = free ? `${verb} ${nameCount(free, "row")}` : verb;
  setText("[data-undo-button]", short);
  const title = kept ? `${short}, keep ${nameCount(kept, "newer edit")}` : short;
  setText("[data-undo-title]", free ? title : (form.dataset["nothing"] ?? verb));
}

function findForm(): HTMLFormElement | null {
  return document.querySelector<HTMLFormElement>("#undo-form[data-free]");
}

document.addEventListener("change", (event) => {
  const form = findForm();
  if (form !== null && event.target instanceof HTMLInputElement && event.target.name.startsWith("choice-")) showCounts(form);
});

document.addEventListener("click", (event) => {
  const button = event.target instanceof Element ? event.target.closest<HTMLButtonElement>('button[form="undo-form"]') : null;
  const form = findForm();
  if (button === null || form === null) return;
  if (button.name) form.dataset["step"] = "preview";
  else delete form.dataset["step"];
});

document.addEventListener("htmx:afterSettle", () => {
  const form = findForm();
  if (form !== null && document.querySelector("#choices-rest") !== null) showCounts(form);
});
