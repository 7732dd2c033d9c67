/** A form with data-confirm-word="<word>" cannot be sent before that word stands in its field; the server checks again. */

document.addEventListener("input", (event) => {
  const field = event.target;
  if (!(field instanceof HTMLInputElement) || field.name !== "confirm") return;
  const word = field.form?.dataset["confirmWord"];
  if (word !== undefined) field.setCustomValidity(field.value === word ? "" : `Type ${word} exactly.`);
});
