"use strict";
const cells = [...document.querySelectorAll("#cells > details")];
const buttons = [...document.querySelectorAll("button.cell")];
const told = document.getElementById("told");
const all = document.getElementById("all-cells");
function show(chosen) {
  for (const cell of cells) {
    cell.hidden = chosen !== null && cell !== chosen;
    cell.open = cell === chosen;
  }
  for (const button of buttons) {
    button.setAttribute("aria-pressed", String(chosen !== null && button.dataset.cell === chosen.id));
  }
  all.hidden = chosen === null;
  told.textContent = chosen === null ? "All cells are listed." : "Shown: " + chosen.firstElementChild.textContent;
  if (chosen !== null) chosen.scrollIntoView({ block: "nearest" });
}
for (const button of buttons) {
  button.disabled = false;
  button.addEventListener("click", () => {
    const pressed = button.getAttribute("aria-pressed") === "true";
    show(pressed ? null : document.getElementById(button.dataset.cell));
  });
}
all.addEventListener("click", () => {
  const pressed = buttons.find((button) => button.getAttribute("aria-pressed") === "true");
  show(null);
  if (pressed) pressed.focus();
});
document.getElementById("how").hidden = false;
