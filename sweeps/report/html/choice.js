"use strict";

const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const one = (selector, root = document) => root.querySelector(selector);

// What is for one score or axis is shown when that is chosen; an empty name goes with any.

function showChosen() {
  const chosen = { score: one('select[data-choice="score"]').value, x: one('input[data-choice="x"]:checked').value };
  for (const part of all("[data-score]")) {
    part.hidden = ["score", "x"].some((key) => part.dataset[key] && part.dataset[key] !== chosen[key]);
  }
}

function copy(button) {
  getSelection().selectAllChildren(one("code", button.parentElement));
  document.execCommand("copy"); // navigator.clipboard is not there on file://
  button.textContent = "Copied";
}

for (const choice of all("[data-choice]")) choice.addEventListener("change", showChosen);
for (const button of all("[data-copy]")) button.addEventListener("click", () => copy(button));
