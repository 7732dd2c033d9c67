/** A Postgres connection string that is put into the field of a project's URL goes where it belongs, and says so. */
import { showToast } from "./toast.js";

document.addEventListener("input", (event) => {
  const field = event.target;
  if (!(field instanceof HTMLInputElement) || field.name !== "url" || !/^\s*postgres(ql)?:\/\//i.test(field.value)) return;
  const other = field.form?.elements.namedItem("postgresUrl");
  if (!(other instanceof HTMLInputElement) || other.value) return;
  other.value = field.value.trim();
  field.value = "";
  const tab = field.form?.querySelector<HTMLInputElement>('input[name="by"][value="postgres"]');
  if (tab) tab.checked = true;
  other.focus();
  showToast("This is a Postgres connection string, so it was moved to its own field.", "ok");
});

let proposed = "";

/** The database's name, or the project's where every project has the same; never a part of the secret. */
function proposeName(value: string): string {
  let address: URL;
  try {
    address = new URL(value.trim().replace(/^postgres(ql)?:/i, "https:"));
  } catch {
    return "";
  }
  const project = /^(?:db\.)?([a-z0-9]{20})\.supabase\./.exec(address.hostname)?.[1] ?? /^postgres\.([a-z0-9]{20})$/.exec(address.username)?.[1];
  const database = readPath(address.pathname.slice(1));
  if (/[@:/\\]/.test(database)) return ""; // the end of a password with a slash
  if (project) return project;
  return database && database !== "postgres" ? database : address.hostname;
}

function readPath(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return "";
  }
}

/** An empty name is filled in from the address, and stays what the person makes of it. */
document.addEventListener("change", (event) => {
  const field = event.target;
  if (!(field instanceof HTMLInputElement) || !["url", "postgresUrl"].includes(field.name)) return;
  const name = field.form?.elements.namedItem("name");
  if (!(name instanceof HTMLInputElement) || !field.form?.matches("[data-names-itself]") || (name.value && name.value !== proposed)) return;
  proposed = proposeName(field.value).slice(0, 80);
  if (proposed) name.value = proposed;
});
