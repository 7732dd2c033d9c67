/** A select with data-autosubmit sends its form when another option is chosen; the button for it is for those without script. */
document.addEventListener("change", (event) => {
  const field = event.target;
  if (field instanceof HTMLSelectElement && field.dataset["autosubmit"] !== undefined) field.form?.requestSubmit();
});
