// The list of answers.

import { drawThumbnail } from "./picture.js";
import { operationTexts, text } from "./texts.js";

const THUMBNAIL = 144;
const MOST_OTHERS = 4;

/**
 * A card for an answer. `show(parts)` is called when its picture is clicked.
 * Parts are boxes as shares of the picture's sides, with labels.
 */
export function makeCard({ operation, picture, question, answer }, show) {
  const result = answer.results[0];
  const parts = partsOf(operation, result, question);
  const card = make("li", "card");
  const canvas = make("canvas");
  canvas.width = canvas.height = THUMBNAIL;
  drawThumbnail(canvas, picture, parts.length === 1 ? parts[0] : undefined);
  const button = make("button", "thumb", canvas);
  button.type = "button";
  button.setAttribute("aria-label", text("show")(question || operationTexts(operation).tab));
  button.addEventListener("click", () => show(parts));
  card.append(button, body({ operation, question, answer, result, parts }));
  return { card, parts };
}

function partsOf(operation, result, question) {
  const share = (box, label) => ({
    x0: box.x0 / result.width, y0: box.y0 / result.height, x1: box.x1 / result.width, y1: box.y1 / result.height, label,
  });
  if (operation.name === "ground") return isEmpty(result.box) ? [] : [share(result.box, question)];
  if (operation.name === "detect") return result.objects.map((box) => share(box, box.label));
  return [];
}

function body({ operation, question, answer, result, parts }) {
  const box = make("div", "card-body");
  const asked = operation.name === "ground" && parts.length ? "" : question; // what was found is the headline
  box.append(make("p", "card-ask", icon(operation.name), asked || operationTexts(operation).tab));
  box.append(make("p", "card-answer", headline(operation, result, parts)));
  if (operation.name === "ground" && parts.length) {
    const rounded = Object.fromEntries(Object.entries(result.box).map(([side, value]) => [side, Math.round(value)]));
    box.append(make("p", "card-note", text("region")(rounded)));
  }
  const percent = toPercent(result.score);
  const meter = make("div", "meter", make("span"));
  meter.firstChild.style.width = `${percent}%`;
  const seconds = (answer.milliseconds / 1000).toLocaleString(undefined, { maximumSignificantDigits: 2 });
  const facts = make("p", "card-facts", meter, make("span", "", text("sure")(percent)), make("span", "", `${seconds} s`));
  facts.append(make("span", "version", `${text("version").toLowerCase()} ${shortVersion(answer.model.version)}`));
  box.append(facts);
  if (["answer", "classify"].includes(operation.name)) box.append(...others(result));
  return box;
}

function headline(operation, result, parts) {
  if (operation.name === "ground") return parts.length ? parts[0].label : text("notThere");
  if (operation.name === "detect") return result.objects.map((box) => box.label).join(", ") || text("nothing");
  const sentence = String(result[operation.name] ?? result.label);
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
