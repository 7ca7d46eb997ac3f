// The page: what is chosen, what is asked, and what happens then.

import { icon, make, makeCard, shortVersion } from "./answers.js";
import { ask, describe, hasKey, setKey } from "./api.js";
import { makeCorners } from "./corners.js";
import { openPainting, openPicture } from "./picture.js";
import { IDEAS, SAMPLES } from "./samples.js";
import { acceptPictures, clearBoxes, setBusy, showBoxes, showPicture } from "./stage.js";
import { LANGUAGES, language, operationTexts, setLanguage, text, translate } from "./texts.js";

const POLL = 1500;
const REFRESH = 30000;
const ARTICLE_ROWS = 7;

const $ = (id) => document.getElementById(id);
const state = { model: null, operations: [], operation: null, picture: null, sample: null, drafts: {}, running: false };
let aim = () => {};
let nextLook;

// --- the model -------------------------------------------------------------------------------------------------

async function watchModel() {
  let pause = REFRESH;
  try {
    const model = await describe();
    const known = state.model?.version;
    state.model = model;
    if (known !== model.version) renderModel();
    $("model").dataset.lamp = "on";
  } catch (problem) {
    pause = POLL;
    state.model = null;
    $("model").dataset.lamp = problem.status === 503 ? "wait" : "off";
    $("model-name").textContent = text({ 401: "locked", 503: "loading" }[problem.status] ?? "unreachable");
    if (problem.status === 401) {
      await askForKey();
      pause = 0;
    }
  }
  clearTimeout(nextLook);
  nextLook = setTimeout(watchModel, pause);
}

function renderModel() {
  $("model-name").textContent = `${text("version").toLowerCase()} ${shortVersion(state.model.version)}`;
  state.operations = operationsOf(state.model);
  const { operations } = state;
  const chosen = operations.find((operation) => operation.name === state.operation?.name) ?? operations[0];
  $("tabs").replaceChildren(...operations.map((operation) => makeTab(operation)));
  $("tabs").style.setProperty("--columns-wide", columns(operations.length, 4));
  $("tabs").style.setProperty("--columns-narrow", columns(operations.length, 3));
  choose(chosen);
}

/** How many of `count` tabs stand in a row of at most `most`, so that the rows are alike. */
function columns(count, most) {
  return Math.ceil(count / Math.ceil(count / most));
}

/** What the model does, in the page's language where it knows it: each name once, `route` is its place in the API. */
function operationsOf(model) {
  const all = model.operations.map((operation) => ({
    ...operation, name: operation.name.replace(/_zh$/, ""), route: operation.name,
  }));
  const wanted = language() === "zh" ? "chinese" : "english";
  return [...new Set(all.map((operation) => operation.name))].map((name) => {
    const same = all.filter((operation) => operation.name === name);
    return same.find((operation) => operation.language === wanted) ?? same[0];
  });
}

function renderCard() {
  const { model } = state;
  if (!model) return;
  const fact = (name, value) => [make("dt", "", text(name)), make("dd", "", value)];
  const when = new Date(model.loaded).toLocaleString(language() === "zh" ? "zh-CN" : undefined);
  const speaks = [...new Set(model.operations.map((operation) => text(operation.language)))].join(text("comma"));
  $("card-facts").replaceChildren(
    ...fact("version", model.version), ...fact("source", model.source), ...fact("loaded", when), ...fact("speaks", speaks),
  );
  const scored = model.operations.filter((operation) => operation.metric);
  const number = (value) => value.toFixed(3);
  const rows = scored.map((operation) => make(
    "tr", "", make("th", "", cardName(operation)), make("td", "", operation.metric),
    make("td", "figure", number(operation.score)), make("td", "figure faint", operation.interval.map(number).join(" – ")),
  ));
  const head = make("tr", "", ...["task", "measure", "score", "interval"].map((name) => make("th", "", text(name))));
  $("card-scores").replaceChildren(...(rows.length ? [head, ...rows] : [make("caption", "faint", text("noScores"))]));
  const link = (address, name) => Object.assign(make("a", "", text(name)), { href: address });
  const links = [[model.report, "report"], [model.registered, "registered"], ["docs", "documentation"]];
  $("card-links").replaceChildren(...links.filter(([address]) => address).map(([address, name]) => link(address, name)));
}

function cardName(operation) {
  const { tab } = operationTexts(operation);
  return operation.name.endsWith("_zh") ? `${tab} (${text("name", "zh")})` : tab;
}

async function askForKey() {
  const dialog = $("key");
  translate();
  $("key-problem").hidden = !hasKey();
  $("key-text").value = "";
  dialog.showModal();
  await new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
  setKey($("key-text").value);
}

// --- what to do ------------------------------------------------------------------------------------------------

function makeTab(operation) {
  const tab = make("button", "tab", icon(operation.name), make("span", "", operationTexts(operation).tab));
  Object.assign(tab, { type: "button", id: `tab-${operation.name}` });
  tab.setAttribute("role", "tab");
  tab.setAttribute("aria-controls", "composer");
  tab.addEventListener("click", () => choose(operation, true));
  tab.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const { operations } = state;
    const next = operations[(operations.indexOf(operation) + step + operations.length) % operations.length];
    choose(next);
    $(`tab-${next.name}`).focus();
  });
  return tab;
}

function choose(operation, focus = false) {
  if (state.operation) state.drafts[state.operation.route] = $("text").value;
  state.operation = operation;
  for (const tab of $("tabs").children) {
    const chosen = tab.id === `tab-${operation.name}`;
    tab.setAttribute("aria-selected", chosen);
    tab.tabIndex = chosen ? 0 : -1;
  }
  $("composer").hidden = false;
  const words = operationTexts(operation);
  const writes = operation.text || operation.name === "classify";
  $("composer").setAttribute("aria-labelledby", `tab-${operation.name}`);
  $("composer").classList.toggle("wordless", !writes);
  $("about").textContent = words.about;
  $("go-label").textContent = words.go;
  $("text").hidden = !writes;
  $("text").rows = operation.article ? ARTICLE_ROWS : 1;
  $("with-line").hidden = operation.image !== "possible";
  $("seed-line").hidden = !operation.seed;
  $("go").hidden = operation.box;
  aim(operation.box ? words.about : null);
  $("text").placeholder = words.hint ?? "";
  $("text").setAttribute("aria-label", words.about);
  $("text").value = state.drafts[operation.route] ?? "";
  $("text").maxLength = state.model.limits[operation.article ? "article_characters" : "text_characters"];
  renderIdeas();
  if (focus && writes && matchMedia("(hover: hover)").matches) $("text").focus();
}

function renderIdeas() {
  if (!state.operation) return;
  const { name, language } = state.operation;
  const ideas = (state.sample?.ideas[name] ?? IDEAS[name])?.[language] ?? [];
  $("ideas").replaceChildren(...ideas.map((idea) => {
    const chip = make("button", "idea", idea);
    chip.type = "button";
    chip.addEventListener("click", () => {
      $("text").value = idea;
      run();
    });
    return chip;
  }));
}

// --- pictures --------------------------------------------------------------------------------------------------

async function takePicture(file, name, sample = null) {
  complain(null);
  try {
    state.picture = await openPicture(file, name, state.model?.limits);
  } catch (problem) {
    complain(problem.message);
    return;
  }
  state.sample = sample;
  showPicture(state.picture);
  renderIdeas();
  markSample();
}

async function takeSample(sample) {
  const response = await fetch(`page/${sample.name}.webp`);
  await takePicture(await response.blob(), sample.name, sample);
}

function makeSamples() {
  $("samples").replaceChildren(...SAMPLES.map((sample) => {
    const image = Object.assign(make("img"), { src: `page/${sample.name}.webp`, alt: sample.name, width: 80, height: 64 });
    const button = make("button", "sample", image);
    Object.assign(button, { type: "button", id: `sample-${sample.name}` });
    button.addEventListener("click", () => takeSample(sample));
    return make("li", "", button);
  }));
}

function markSample() {
  for (const sample of SAMPLES) $(`sample-${sample.name}`).setAttribute("aria-pressed", sample === state.sample);
}

// --- questions and answers -------------------------------------------------------------------------------------

/** Ask; `part` is what was chosen on the picture, as shares of its sides. */
async function run(part) {
  const { operation, running } = state;
  const looks = operation?.image === "needed" || (operation?.image === "possible" && $("with").checked);
  const picture = looks ? state.picture : null;
  if (running || !operation || (looks && !picture) || (operation.box && !part)) return;
  const question = $("text").hidden ? "" : $("text").value.trim();
  if (operation.text && !question) {
    $("text").focus();
    complain(text("needText"));
    return;
  }
  setRunning(true, looks);
  complain(null);
  try {
    const choices = operation.text ? [] : question.split(/[,，、\n]/).map((choice) => choice.trim()).filter(Boolean);
    const seed = operation.seed ? $("seed").value.trim() : "";
    const answer = await ask(operation, { picture, question, choices, part, seed });
    const paintings = await paintingsOf(answer.results[0], question);
    const asked = { operation, picture, question, answer, paintings, part };
    const { card, parts } = makeCard(asked, (shown, boxes) => recall(shown, card, boxes), (seed) => takeSeed(operation, seed));
    $("feed").prepend(card);
    $("quiet").hidden = true;
    if (paintings.length) recall(paintings[0], card, []);
    else recall(picture === state.picture ? picture : null, card, parts);
  } catch (problem) {
    complain(problem.message);
    if (problem.status === 401) await askForKey();
    if (!problem.status || problem.status === 503) watchModel();
  } finally {
    setRunning(false);
  }
}

function paintingsOf(result, name) {
  const found = [result, ...result.alternatives].map((painted) => painted.picture).filter(Boolean);
  return Promise.all(found.map((address) => openPainting(address, name)));
}

/** Mark an answer, and show its picture and boxes again, if it has a picture. */
function recall(picture, card, parts) {
  for (const other of $("feed").children) other.classList.toggle("current", other === card);
  if (!picture) return;
  if (picture !== state.picture) {
    Object.assign(state, { picture, sample: SAMPLES.find((sample) => sample.name === picture.name) ?? null });
    showPicture(picture);
    renderIdeas();
    markSample();
  }
  showBoxes(parts);
}

/** Put the seed of an answer into its field, so that it is drawn again. */
function takeSeed(operation, seed) {
  if (state.operation.route !== operation.route) choose(operation);
  $("seed").value = seed;
  $("seed").focus();
}

function setRunning(running, looks = false) {
  state.running = running;
  setBusy(running && looks);
  $("go").disabled = running;
  $("composer").setAttribute("aria-busy", running);
}

function complain(message) {
  $("problem").hidden = !message;
  $("problem").textContent = message ?? "";
}

// --- the rest of the page --------------------------------------------------------------------------------------

function renderLanguage() {
  translate();
  $("seed").placeholder = text("anySeed");
  $("language").textContent = text("name", nextLanguage());
  $("language").lang = nextLanguage();
  if (state.model) renderModel();
}

function nextLanguage() {
  return LANGUAGES[(LANGUAGES.indexOf(language()) + 1) % LANGUAGES.length];
}

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  localStorage.setItem("theme", theme);
}

function handleKey(event) {
  const typing = event.target.matches("input, textarea");
  if (typing && event.target.id === "text" && event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    run();
  }
  if (event.key === "Escape") {
    clearBoxes();
    for (const card of $("feed").children) card.classList.remove("current");
  }
  if (typing || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (event.key === "/" && !$("text").hidden) {
    event.preventDefault();
    $("text").focus();
  }
  const operation = state.operations[Number(event.key) - 1];
  if (operation) choose(operation);
  if (event.key === "Enter" && event.target === document.body) run();
}

function start() {
  if (localStorage.getItem("theme")) setTheme(localStorage.getItem("theme"));
  renderLanguage();
  makeSamples();
  aim = makeCorners($("frame"), (part) => run(part));
  acceptPictures((file) => takePicture(file, file.name || text("pasted")));
  addEventListener("keydown", handleKey);
  $("composer").addEventListener("submit", (event) => {
    event.preventDefault();
    run();
  });
  $("language").addEventListener("click", () => {
    setLanguage(nextLanguage());
    renderLanguage();
  });
  $("theme").addEventListener("click", () => {
    const shown = document.documentElement.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
    setTheme(shown === "dark" ? "light" : "dark");
  });
  $("model").addEventListener("click", () => {
    if (!state.model) return;
    renderCard();
    $("card").showModal();
  });
  takeSample(SAMPLES[0]);
  watchModel();
}

start();
