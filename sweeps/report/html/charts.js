"use strict";

const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const one = (selector, root = document) => root.querySelector(selector);
const known = (selector) => JSON.parse(one(selector)?.textContent ?? "null");
const STYLE = known("#chart-style");
const ZOOM = { name: "zoom", bind: "scales", select: { type: "interval", translate: false, zoom: "wheel![event.ctrlKey]" } };
const views = new Map(); // the drawn chart of a figure

// A figure holds its chart once for each axis, and what differs by score (see drawings.py)

const kept = new Map();

function chartsOf(figure) {
  if (!kept.has(figure)) kept.set(figure, JSON.parse(one('script[type="application/json"]', figure).textContent));
  return kept.get(figure);
}

async function draw(figure) {
  const { specs, byScore } = chartsOf(figure);
  const { score, x } = choice();
  figure.hidden = Boolean(score) && figure.dataset.follows === "score" && !(score in byScore) && !("recon" in byScore);
  if (figure.hidden) return;
  const spec = { ...(specs[x] ?? Object.values(specs)[0]), ...(byScore[score] ?? Object.values(byScore)[0]) };
  spec.layer = spec.layer?.map((layer) => ({ ...layer })); // what is kept stays as it is
  const marks = spec.layer?.find((layer) => layer.name === "marks");
  if (marks && pick) {
    // a field of a heat map is found by itself, a mark by being the nearest
    const nearest = marks.mark.type === "point";
    marks.params = [{ name: "pick", select: { type: "point", fields: ["number"], toggle: false, nearest, on: "click" } }];
    if (nearest) marks.params.push(ZOOM);
  }
  await show(one(".drawn", figure), spec, figure);
  if (marks && pick) {
    const { view } = views.get(figure);
    view.addSignalListener("pick", (_, picked) => { if (picked.number?.length) pick(picked.number[0]); });
    mark(figure);
  }
}

async function show(element, spec, figure = element) {
  views.get(figure)?.finalize();
  const whole = { $schema: "https://vega.github.io/schema/vega-lite/v6.json", width: "container", ...spec, config: STYLE };
  views.set(figure, await vegaEmbed(element, whole, { renderer: "svg", logLevel: 1, actions: { export: true, source: false, compiled: false, editor: false }, downloadFileName: spec.title || "chart" }));
}

// What is for one score or axis is shown when that is chosen; an empty name goes with any

function choice() {
  return { score: one('select[data-choice="score"]')?.value ?? "", x: one('input[data-choice="x"]:checked')?.value ?? "beta" };
}

function followChoice() {
  const { score } = choice();
  for (const part of all("[data-score]")) part.hidden = Boolean(part.dataset.score) && part.dataset.score !== score;
  return Promise.all(all("figure[data-follows]").map(draw));
}

// The chosen configuration is marked in every chart

let pick = null; // what choosing a mark does; the page's script sets it
let chosen = -1;

function mark(figure) {
  const view = views.get(figure)?.view;
  if (view && view.signal("chosen") !== chosen) view.signal("chosen", chosen).runAsync();
}

function copy(button) {
  getSelection().selectAllChildren(one("code", button.parentElement));
  document.execCommand("copy"); // navigator.clipboard is not there on file://
  button.textContent = "Copied";
}

for (const control of all("[data-choice]")) control.addEventListener("change", followChoice);
for (const button of all("[data-copy]")) button.addEventListener("click", () => copy(button));
