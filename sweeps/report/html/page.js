"use strict";

const data = known("#data"); // null where nothing is complete, or the section failed
const panel = one("#chosen");
const part = (name) => one(`[data-part="${name}"]`, panel);
const RELOAD_MS = 60_000;

function make(name, properties = {}, ...children) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
}

// The panel: one configuration, one of its trials

function choose(number, slug) {
  const configuration = data?.configurations[number];
  if (!configuration) return;
  chosen = number;
  for (const figure of all("figure[data-follows]")) mark(figure);
  for (const row of all("[data-configuration]:not(select)")) row.classList.toggle("chosen", Number(row.dataset.configuration) === number);
  one("select[data-configuration]").value = number;
  part("title").textContent = configuration.title;
  part("falling").textContent = configuration.falling && `Still learning: the loss fell by ${configuration.falling} over the last tenth of the steps.`;
  part("seeds").replaceChildren(...configuration.trials.map((trial) => make("button", {
    type: "button", onclick: () => showTrial(configuration, trial),
  })));
  sayScore();
  const best = configuration.trials.reduce((a, b) => (Number(scoreOf(b)) > Number(scoreOf(a)) ? b : a));
  showTrial(configuration, configuration.trials.find((trial) => trial.slug === slug) ?? best);
  drawLearning(configuration);
}

const scoreOf = (trial) => trial.scores[choice().score] ?? "–";

function sayScore() {
  const configuration = data?.configurations[chosen];
  if (!configuration) return;
  part("words").textContent = configuration.words[choice().score]?.split("\n").slice(1).join(" · ") ?? "";
  all("button", part("seeds")).forEach((button, index) => {
    const trial = configuration.trials[index];
    button.textContent = `seed ${trial.seed}: ${trial.state === "complete" ? scoreOf(trial) : trial.state}`;
  });
}

function showTrial(configuration, trial) {
  remember(trial.slug);
  all("button", part("seeds")).forEach((button, index) => button.setAttribute("aria-pressed", String(configuration.trials[index] === trial)));
  part("pictures").replaceChildren(...(trial.state === "complete"
    ? Object.keys(data.kinds).map((kind) => picture(configuration, trial, kind))
    : [make("p", { className: "empty", textContent: `This trial is ${trial.state}; it has no pictures.` })]));
  drawKl(trial);
}

function picture(configuration, trial, kind) {
  const path = `../trials/${encodeURIComponent(trial.slug)}/media/${{ animation: "traversal.gif", reconstructions: "reconstructions.png", traversal: "traversal.png" }[kind]}`;
  const caption = kind === "reconstructions" && trial.held_out ? "Image held out over output" : data.kinds[kind];
  const image = make("img", { alt: `${caption}, ${trial.slug}`, src: data.pictures[trial.slug]?.[kind] ?? path });
  const figure = make("figure", { className: kind }, make("figcaption", { textContent: caption }), image);
  if (kind === "traversal") image.onload = () => fold(figure, image, trial.active, configuration.latents);
  image.onerror = () => image.replaceWith(make("p", {
    className: "empty",
    textContent: `Not found: ${path}. The page reads it from the study’s folder; keep the page there, or write it with --embed-all.`,
  }));
  return figure;
}

// The rows of a traversal are sorted by KL: those of inactive latents, the last ones, are folded

function fold(figure, image, active, latents) {
  if (active >= latents || one("button", figure)) return;
  const share = Math.max(active, 1) / latents;
  const height = Math.round(image.naturalHeight * share);
  const folded = (yes) => { image.style.cssText = yes ? `aspect-ratio: ${image.naturalWidth} / ${height}; object-fit: cover; object-position: top;` : ""; };
  const words = (yes) => `${yes ? "Show" : "Hide"} ${latents - active} inactive latent${latents - active === 1 ? "" : "s"}`;
  const button = make("button", { type: "button", className: "link", textContent: words(true), ariaExpanded: "false" });
  button.onclick = () => {
    const open = button.ariaExpanded !== "true";
    button.ariaExpanded = String(open);
    button.textContent = words(!open);
    folded(!open);
  };
  folded(true);
  figure.append(button);
}

function drawKl(trial) {
  const order = trial.kl.map((_, latent) => latent).sort((a, b) => trial.kl[b] - trial.kl[a]);
  const latents = order.map((latent, rank) => ({ latent: `z${latent}`, kl: trial.kl[latent], active: rank < trial.active }));
  part("kl").hidden = !latents.length;
  if (latents.length) show(part("kl"), { ...data.kl, datasets: { latents } });
}

function drawLearning(configuration) {
  const columns = Object.keys(data.titles).filter((column) => configuration.trials.some((trial) => column in trial.learning));
  part("learning").replaceChildren(...columns.map((column) => {
    const logged = configuration.trials.flatMap(({ seed, learning: { [column]: [steps, values] = [[], []] } }) => steps.map((step, i) => ({ line: 0, seed, step, value: values[i] })));
    const element = make("div");
    show(element, { ...data.learning, height: 90, title: data.titles[column], datasets: { logged } });
    return element;
  }));
}

// Arrow keys in a chart: along β, and from one latent size to the next

function step(figure, key) {
  const here = data.configurations[chosen];
  const datasets = Object.values(chartsOf(figure).byScore)[0].datasets;
  const numbers = new Set((datasets.means ?? datasets.fields).map((row) => row.number));
  const there = data.configurations.map((configuration, number) => ({ ...configuration, number })).filter(({ number }) => numbers.has(number));
  if (!here || !there.some(({ facet }) => facet === here.facet)) return there[0]?.number;
  const facet = there.filter((other) => other.facet === here.facet);
  const along = facet.filter(({ latents }) => latents === here.latents).sort((a, b) => a.beta - b.beta);
  const at = along.findIndex(({ number }) => number === chosen);
  if (key === "ArrowRight") return along[at + 1]?.number;
  if (key === "ArrowLeft") return along[at - 1]?.number;
  const sizes = [...new Set(facet.map(({ latents }) => latents))].sort((a, b) => a - b);
  const size = sizes[sizes.indexOf(here.latents) + (key === "ArrowUp" ? 1 : -1)];
  const distance = ({ beta }) => Math.abs(Math.log(beta / here.beta));
  return facet.filter(({ latents }) => latents === size).sort((a, b) => distance(a) - distance(b))[0]?.number;
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

// What is not a <button> but chooses like one

function pressable(row, element) {
  const press = () => choose(Number(row.dataset.configuration), row.dataset.slug);
  element.setAttribute("tabindex", "0");
  element.setAttribute("role", "button");
  element.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault(); // a space would scroll
    press();
  });
  row.addEventListener("click", () => { if (!getSelection().toString()) press(); });
}

// While the study runs the page is loaded again, and goes on with the trial that was looked at

function remember(slug) {
  try { sessionStorage.setItem(document.title, slug); } catch { /* some browsers have none for files */ }
}

function remembered() {
  try { return sessionStorage.getItem(document.title); } catch { return null; }
}

pick = data ? (number) => choose(number) : null;
for (const figure of all('figure[data-follows="score"]')) {
  figure.addEventListener("keydown", (event) => {
    if (!data || !event.key.startsWith("Arrow")) return;
    event.preventDefault();
    choose(step(figure, event.key));
  });
}
for (const control of all('[data-choice="score"]')) control.addEventListener("change", sayScore);
one("select[data-configuration]")?.addEventListener("change", (event) => choose(Number(event.target.value)));
for (const head of all("#trial-table th")) {
  const button = make("button", { type: "button" }, ...head.childNodes);
  button.addEventListener("click", () => sortBy(head));
  head.append(button);
}
for (const row of all("tr[data-configuration]")) pressable(row, one("code, td", row));
one("[data-filter]")?.addEventListener("input", filter);
if (one("[data-unfinished]")) setTimeout(() => location.reload(), RELOAD_MS);
if (data) {
  const slug = remembered();
  const found = data.configurations.findIndex(({ trials }) => trials.some((trial) => trial.slug === slug));
  if (found < 0) choose(data.number, data.slug); else choose(found, slug);
}
followChoice();
for (const figure of all("figure.chart:not([data-follows])")) draw(figure);
