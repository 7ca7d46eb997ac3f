// A part of the picture, chosen by two corners: two clicks or taps, a drag, or arrow keys and Enter.

import { make } from "./answers.js";

const STEP = 0.02;
const LEAP = 5;
const SMALLEST = 0.02;
const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/**
 * Let people choose on the frame; `chosen(part)` gets corners as shares of the picture's sides.
 * `aim(label)` begins, with a name for those who hear the page; `aim(null)` ends.
 */
export function makeCorners(frame, chosen) {
  const cross = make("div", "cross");
  const rubber = make("div", "rubber");
  let first = null;
  let pointer = { x: 0.5, y: 0.5 };

  function draw() {
    Object.assign(cross.style, { left: `${100 * pointer.x}%`, top: `${100 * pointer.y}%` });
    rubber.hidden = !first;
    if (!first) return;
    const part = between(first, pointer);
    const [width, height] = [part.x1 - part.x0, part.y1 - part.y0];
    for (const [side, share] of Object.entries({ left: part.x0, top: part.y0, width, height })) rubber.style[side] = `${100 * share}%`;
  }

  /** Take a corner; the second one that is far enough from the first ends the choice. */
  function set(onlyIfFar = false) {
    if (first && far(first, pointer)) {
      const part = between(first, pointer);
      first = null;
      chosen(part);
    } else if (!onlyIfFar) {
      first = { ...pointer };
    }
    draw();
  }

  function follow(event) {
    const place = frame.getBoundingClientRect();
    const share = (at, start, size) => Math.min(1, Math.max(0, (at - start) / size));
    pointer = { x: share(event.clientX, place.left, place.width), y: share(event.clientY, place.top, place.height) };
    draw();
  }

  const on = (name, handle) => frame.addEventListener(name, (event) => frame.classList.contains("aims") && handle(event));
  on("pointermove", follow);
  on("pointerdown", (event) => {
    follow(event);
    set();
  });
  on("pointerup", (event) => {
    follow(event);
    set(true);
  });
  on("keydown", (event) => {
    const [x, y] = MOVES[event.key] ?? [0, 0];
    const step = event.shiftKey ? LEAP * STEP : STEP;
    const within = (value) => Math.min(1, Math.max(0, value));
    if (event.key === "Escape") first = null;
    else if (event.key === "Enter" || event.key === " ") set();
    else if (x || y) pointer = { x: within(pointer.x + x * step), y: within(pointer.y + y * step) };
    else return;
    event.preventDefault();
    event.stopPropagation();
    draw();
  });

  return function aim(label) {
    first = null;
    frame.classList.toggle("aims", Boolean(label));
    if (label) {
      frame.tabIndex = 0;
      frame.setAttribute("role", "application");
      frame.setAttribute("aria-label", label);
      frame.append(rubber, cross);
      draw();
    } else {
      for (const name of ["tabindex", "role", "aria-label"]) frame.removeAttribute(name);
      rubber.remove();
      cross.remove();
    }
  };
}

function between(a, b) {
  return { x0: Math.min(a.x, b.x), y0: Math.min(a.y, b.y), x1: Math.max(a.x, b.x), y1: Math.max(a.y, b.y) };
}

function far(a, b) {
  return Math.abs(a.x - b.x) > SMALLEST && Math.abs(a.y - b.y) > SMALLEST;
}
