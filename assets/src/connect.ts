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
