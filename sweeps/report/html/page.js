"use strict";
const configurations = known("#configurations", []); // a section that failed is not there
const embedded = known("#embedded", {});
const viewer = one("#viewer");
const tip = one("#tip");
const KINDS = {
  reconstructions: ["Input over output", "reconstructions.png"],
  animation: ["Every latent moving", "traversal.gif"],
  traversal: ["One latent a row, by KL", "traversal.png"],
};

function known(selector, otherwise) {
  const element = one(selector);
  return element ? JSON.parse(element.textContent) : otherwise;
}

function make(name, properties = {}, ...children) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
}

// What is not a <button> but opens the viewer like one

function pressable(element, press) {
  element.setAttribute("tabindex", "0");
  element.setAttribute("role", "button");
  element.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault(); // or the same key presses the viewer's first button
    press();
  });
}

// A group with the id ...marks-3-7 holds the marks of the configurations 3 and 7

function wakeShown() {
  for (const chart of all(".charts:not([hidden])")) wakeMarks(chart);
}

function wakeMarks(chart) {
  if (chart.dataset.awake) return;
  chart.dataset.awake = "yes";
  for (const group of all('g[id*="-marks-"]', chart)) {
    const numbers = group.id.split("-marks-")[1].split("-").map(Number);
    all("use, path", group).filter((mark) => !mark.closest("defs")).forEach((mark, index) => wake(mark, configurations[numbers[index]], chart));
  }
}

function wake(mark, configuration, chart) {
  if (!configuration) return;
  const words = (score) => [configuration.title, configuration.scores[score], configuration.note].filter(Boolean).join("\n");
  const show = (x, y) => showTip(words(chart.dataset.score || one('[data-choice="score"]')?.value), x, y);
  const hide = () => { tip.hidden = true; };
  mark.classList.add("mark");
  pressable(mark, () => view(configuration));
  mark.setAttribute("aria-label", words(chart.dataset.score).replaceAll("\n", ", "));
  mark.addEventListener("mousemove", (event) => show(event.clientX, event.clientY));
  mark.addEventListener("mouseleave", hide);
  mark.addEventListener("focus", () => {
    const { right, bottom } = mark.getBoundingClientRect();
    if (mark.matches(":focus-visible")) show(right, bottom); // not on a click, which opens the viewer
  });
  mark.addEventListener("blur", hide);
  mark.addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });
  mark.addEventListener("click", () => view(configuration));
}

function showTip(text, x, y) {
  tip.textContent = text;
  tip.hidden = false;
  const left = Math.max(8, Math.min(x + 14, innerWidth - tip.offsetWidth - 8));
  const top = y + 18 + tip.offsetHeight < innerHeight ? y + 18 : y - tip.offsetHeight - 10;
  // it is placed on the page, not in the window, which may scroll to a mark just after its focus
  Object.assign(tip.style, { left: `${left + scrollX}px`, top: `${top + scrollY}px` });
}

// The viewer: pictures of any trial, from this page or from the study's folder beside it

function view(configuration, slug) {
  if (!configuration) return;
  tip.hidden = true;
  one("#viewer-title").textContent = configuration.title;
  one('[data-part="scores"]').textContent = `${configuration.summary} · ${configuration.note}`;
  one('[data-part="seeds"]').replaceChildren(...configuration.trials.map((trial) => make("button", {
    type: "button", textContent: trial.state === "complete" ? `seed ${trial.seed}: ${trial.score}` : `seed ${trial.seed}: ${trial.state}`,
    onclick: () => viewTrial(configuration, trial),
  })));
  viewTrial(configuration, configuration.trials.find((trial) => trial.slug === slug) || configuration.trials[0]);
  if (!viewer.open) viewer.showModal();
}

function viewRow(row) {
  view(configurations[row.dataset.configuration], row.dataset.slug);
}

function viewTrial(configuration, trial) {
  all('[data-part="seeds"] button').forEach((button, index) => button.setAttribute("aria-pressed", String(configuration.trials[index] === trial)));
  const shown = trial.state === "complete"
    ? Object.keys(KINDS).map((kind) => picture(trial, kind))
    : [make("p", { className: "empty", textContent: `This trial is ${trial.state}; it has no pictures.` })];
  one('[data-part="pictures"]').replaceChildren(...shown);
}

function picture(trial, kind) {
  const [caption, file] = KINDS[kind];
  const path = `../trials/${encodeURIComponent(trial.slug)}/media/${file}`;
  const image = make("img", { alt: `${caption}, ${trial.slug}`, src: address(trial.slug, kind) || path });
  const figure = make("figure", { className: kind }, make("figcaption", { textContent: caption }), make("div", { className: "window" }, image));
  image.onerror = () => image.replaceWith(make("p", {
    className: "empty",
    textContent: `Not found: ${path}. The page reads it from the study’s folder; keep the page there, or write it with --embed-all.`,
  }));
  return figure;
}

function address(slug, kind) {
  const article = all("article[data-slug]").find((entry) => entry.dataset.slug === slug);
  const image = article && one(`img[data-kind="${kind}"]`, article);
  return image ? image.dataset.src || image.src : (embedded[slug] || {})[kind];
}

// The table

function sortBy(head) {
  const descending = head.getAttribute("aria-sort") === "ascending";
  const index = all("th", head.parentElement).indexOf(head);
  const body = one("#trial-table tbody");
  const value = (row) => row.cells[index].dataset.value ?? row.cells[index].textContent;
  const compare = (a, b) => {
    const [x, y] = [value(a), value(b)];
    if (x === "" || y === "") return (x === "") - (y === ""); // what is missing comes last
    return (descending ? -1 : 1) * (x - y || x.localeCompare(y, undefined, { numeric: true }));
  };
  for (const other of all("#trial-table th")) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", descending ? "descending" : "ascending");
  body.replaceChildren(...all("tr", body).sort(compare));
}

function filter() {
  const words = one("[data-filter]").value.toLowerCase().split(/\s+/).filter(Boolean);
  const rows = all("#trial-table tbody tr");
  for (const row of rows) {
    const text = `${row.dataset.slug} ${row.cells[1].textContent}`.toLowerCase();
    row.hidden = !words.every((word) => text.includes(word));
  }
  one("[data-count]").textContent = words.length ? `${rows.filter((row) => !row.hidden).length} of ${rows.length}` : "";
}

// Small things

function play(button) {
  const image = one("img", button.parentElement);
  image.src = image.dataset.src;
  image.hidden = false;
  button.hidden = true;
}

for (const choice of all("[data-choice]")) choice.addEventListener("change", wakeShown);
for (const button of all("[data-play]")) button.addEventListener("click", () => play(button));
for (const button of all("button[data-configuration]")) button.addEventListener("click", () => view(configurations[button.dataset.configuration], button.closest("article").dataset.slug));
for (const head of all("#trial-table th")) {
  const button = make("button", { type: "button" }, ...head.childNodes);
  button.addEventListener("click", () => sortBy(head));
  head.append(button);
}
for (const row of all("#trial-table tbody tr")) pressable(one("code", row), () => viewRow(row));
one("#trial-table tbody")?.addEventListener("click", (event) => {
  if (!getSelection().toString()) viewRow(event.target.closest("tr"));
});
one("[data-filter]")?.addEventListener("input", filter);
viewer.addEventListener("click", (event) => { if (event.target === viewer) viewer.close(); });
wakeShown();
