/** Where a link replaces the content of a page and not the whole, the focus goes there as it would on a new page. */
document.addEventListener("htmx:afterSettle", (event) => {
  const { boosted, target } = (event as CustomEvent<{ boosted?: boolean; target?: Element }>).detail;
  if (boosted && target?.id === "content") document.getElementById("content")?.focus({ preventScroll: true });
});
