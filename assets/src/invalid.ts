/** What the browser finds missing in a form stands below the field, as the server's own errors do, and not in a bubble. */

const SIGN = '<svg class="icon" viewBox="0 0 16 16" aria-hidden="true"><path d="M8 2 1.8 13.5h12.4zM8 6.5v3.2M8 11.8v.1"/></svg>';

type Control = HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement;

function isControl(target: EventTarget | null): target is Control {
  return target instanceof Element && target.matches(".field .input");
}

function describe(control: Control): string {
  const label = control.labels?.[0]?.firstChild?.textContent?.trim();
  if (control.validity.valueMissing && label) return `${label} is required.`;
  return control.validationMessage;
}

/** The words of an error that the server sent are replaced; they were about what was typed before. */
function show(control: Control): void {
  const id = `${control.id}-error`;
  let note = document.getElementById(id);
  if (!note) {
    note = document.createElement("p");
    note.className = "field-error";
    note.id = id;
    (control.closest(".input-group") ?? control).after(note);
    control.setAttribute("aria-describedby", `${control.getAttribute("aria-describedby") ?? ""} ${id}`.trim());
  }
  const words = document.createElement("span");
  words.textContent = describe(control);
  note.innerHTML = SIGN;
  note.append(words);
  note.dataset["found"] = "";
  control.setAttribute("aria-invalid", "true");
}

function hide(control: Control): void {
  const note = document.getElementById(`${control.id}-error`);
  if (note?.dataset["found"] === undefined || !control.validity.valid) return;
  note.remove();
  control.removeAttribute("aria-invalid");
  const others = (control.getAttribute("aria-describedby") ?? "").split(" ").filter((id) => id !== note.id);
  if (others.join("")) control.setAttribute("aria-describedby", others.join(" "));
  else control.removeAttribute("aria-describedby");
}

document.addEventListener("invalid", (event) => {
  if (!isControl(event.target) || !event.target.id) return;
  event.preventDefault();
  show(event.target);
  if (!document.activeElement?.matches(".field .input:invalid")) event.target.focus();
}, true);

document.addEventListener("input", (event) => {
  if (isControl(event.target)) hide(event.target);
});

export {};
