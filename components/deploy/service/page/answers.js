// The list of answers.

import { drawThumbnail } from "./picture.js";
import { operationTexts, text } from "./texts.js";

const THUMBNAIL = 144;
const MOST_OTHERS = 4;

/**
 * A card for an answer. `show(picture, parts)` is called when a picture of it is clicked, `reuse(seed)` when its seed is.
 * Parts are boxes as shares of the picture's sides, with labels. `paintings` are pictures that were made, the best
 * first; `part` is what was asked about.
 */
export function makeCard({ operation, picture, question, answer, paintings = [], part }, show, reuse) {
  const result = answer.results[0];
  const parts = partsOf(operation, result, question, part);
  const card = make("li", "card");
  const shown = paintings[0] ?? picture;
  const label = text("show")(question || operationTexts(operation).tab);
  if (shown) card.append(thumbnail(shown, parts, label, show));
  card.classList.toggle("textual", !shown);
  card.append(body({ operation, question, answer, result, parts, reuse }));
  const others = paintings.slice(1).map((painting) => thumbnail(painting, [], label, show));
  const save = paintings.map((painting) => Object.assign(make("a", "save", text("save")), { href: painting.url, download: "ofa.png" }));
  if (paintings.length) card.lastChild.append(make("div", "paintings", ...others, save[0]));
  return { card, parts };
}

function thumbnail(picture, parts, label, show) {
  const canvas = make("canvas");
  canvas.width = canvas.height = THUMBNAIL;
  drawThumbnail(canvas, picture, parts.length === 1 ? parts[0] : undefined);
  const button = make("button", "thumb", canvas);
  button.type = "button";
  button.setAttribute("aria-label", label);
  button.addEventListener("click", () => show(picture, parts));
  return button;
}

function partsOf(operation, result, question, part) {
  const share = (box, label) => ({
    x0: box.x0 / result.width, y0: box.y0 / result.height, x1: box.x1 / result.width, y1: box.y1 / result.height, label,
  });
  if (operation.name === "ground") return isEmpty(result.box) ? [] : [share(result.box, question)];
  if (operation.name === "region") return [{ ...part, label: result.text }];
  const boxes = operation.name === "detect" ? result.objects : result.width ? result.reply?.boxes ?? [] : [];
  return boxes.filter((box) => !isEmpty(box)).map((box) => share(box, box.label));
}

function body({ operation, question, answer, result, parts, reuse }) {
  const box = make("div", "card-body");
  const isHeadline = operation.name === "paint" || (operation.name === "ground" && parts.length);
  box.append(make("p", "card-ask", icon(operation.name), (isHeadline ? "" : question) || operationTexts(operation).tab));
  box.append(make("p", "card-answer", headline(operation, result, parts, question)));
  if (operation.name === "ground" && parts.length) {
    const rounded = Object.fromEntries(Object.entries(result.box).map(([side, value]) => [side, Math.round(value)]));
    box.append(make("p", "card-note", text("corners")(rounded)));
  }
  const percent = toPercent(result.score);
  const meter = make("div", "meter", make("span"));
  meter.firstChild.style.width = `${percent}%`;
  const seconds = (answer.milliseconds / 1000).toLocaleString(undefined, { maximumSignificantDigits: 2 });
  const sure = operation.name === "paint" ? [] : [meter, make("span", "", text("sure")(percent))];
  const facts = make("p", "card-facts", ...sure, make("span", "", `${seconds} s`));
  facts.append(make("span", "version", `${text("version").toLowerCase()} ${shortVersion(answer.model.version)}`));
  if (operation.seed) facts.append(seedOf(result, reuse));
  box.append(facts);
  if (["answer", "classify"].includes(operation.name)) box.append(...others(result));
  return box;
}

function seedOf(result, reuse) {
  const button = make("button", "seed", `${text("seed").toLowerCase()} ${result.seed}`);
  Object.assign(button, { type: "button", title: text("reuse") });
  button.addEventListener("click", () => reuse(result.seed));
  return button;
}

function headline(operation, result, parts, question) {
  if (operation.name === "ground") return parts.length ? parts[0].label : text("notThere");
  if (operation.name === "detect") return result.objects.map((box) => box.label).join(", ") || text("nothing");
  if (operation.name === "paint") return question;
  const found = result.reply?.text || result.reply?.boxes.map((box) => box.label).filter(Boolean).join(", ");
  const sentence = String((result.reply ? found : result[operation.result]) || text("nothingSaid"));
  return operation.name === "caption" ? sentence.charAt(0).toUpperCase() + sentence.slice(1) : sentence;
}

function others(result) {
  const found = result.alternatives.slice(0, MOST_OTHERS).filter((other) => toPercent(other.score) >= 1);
  if (!found.length) return [];
  const list = make("ul", "others");
  list.setAttribute("aria-label", text("others"));
  for (const other of found) {
    const percent = toPercent(other.score);
    const meter = make("span", "meter", make("span"));
    meter.firstChild.style.width = `${percent}%`;
    list.append(make("li", "", make("span", "other-name", other.answer ?? other.label), meter, make("span", "percent", `${percent} %`)));
  }
  return [list];
}

function toPercent(score) {
  return Math.round(100 * Math.min(1, Math.exp(score)));
}

function isEmpty(box) {
  return box.x1 - box.x0 < 1 || box.y1 - box.y0 < 1;
}

/** A version as it fits a line: the registry's are numbers, a folder's are hashes. */
export function shortVersion(version) {
  return version.slice(0, 8);
}

export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  use.setAttribute("href", document.getElementById(`icon-${name}`) ? `#icon-${name}` : "#icon-answer");
  svg.append(use);
  return svg;
}

/** An element with a class and children. */
export function make(tag, name = "", ...children) {
  const element = document.createElement(tag);
  if (name) element.className = name;
  element.append(...children);
  return element;
}
