// The page to label: a key chooses a button. Without this file the buttons work all the same.

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  if (event.target.matches("input, select, textarea")) return;
  const chosen = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
  if (!chosen || document.querySelector(".htmx-request")) return;
  event.preventDefault();
  chosen.click();
});
