// Pictures: from a file to something that the service takes, and small copies for the answers.

import { Problem } from "./api.js";
import { text } from "./texts.js";

const TYPES = ["image/jpeg", "image/png", "image/webp"];
const LONGEST_SIDE = 2048;
const QUALITY = 0.92;

/**
 * A picture ready to be sent: the file itself where the service takes it as it is, else a copy that it takes.
 * Formats that only the browser knows (HEIC, AVIF, GIF, ...) and very large photographs become such copies.
 */
export async function openPicture(file, name, limits) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    throw new Problem(text("cannotOpen")(name), 0);
  }
  const fits = !limits || (file.size <= limits.image_bytes && bitmap.width * bitmap.height <= limits.image_pixels);
  const { width, height } = bitmap;
  const { blob, ...sent } = fits && TYPES.includes(file.type) ? { blob: file, width, height } : await copy(bitmap);
  return { blob, sent, bitmap, name, url: URL.createObjectURL(blob), width, height };
}

/** A picture that the service painted, from its data URL. */
export async function openPainting(address, name) {
  const bytes = Uint8Array.from(atob(address.split(",")[1]), (letter) => letter.charCodeAt(0));
  return openPicture(new Blob([bytes], { type: "image/png" }), name);
}

/** Draw a part of the picture (corners as shares of its sides), or its middle, on a square canvas. */
export function drawThumbnail(canvas, picture, part) {
  const { bitmap } = picture;
  let [x, y, width, height] = [0, 0, bitmap.width, bitmap.height];
  if (part) {
    const margin = 0.06 * Math.max(part.x1 - part.x0, part.y1 - part.y0);
    x = Math.max(0, part.x0 - margin) * bitmap.width;
    y = Math.max(0, part.y0 - margin) * bitmap.height;
    width = Math.min(1, part.x1 + margin) * bitmap.width - x;
    height = Math.min(1, part.y1 + margin) * bitmap.height - y;
  }
  const scale = (part ? Math.min : Math.max)(canvas.width / width, canvas.height / height);
  const [w, h] = [width * scale, height * scale];
  const pen = canvas.getContext("2d");
  pen.imageSmoothingQuality = "high";
  pen.drawImage(bitmap, x, y, width, height, (canvas.width - w) / 2, (canvas.height - h) / 2, w, h);
}

async function copy(bitmap) {
  const scale = Math.min(1, LONGEST_SIDE / Math.max(bitmap.width, bitmap.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  const pen = canvas.getContext("2d");
  pen.fillStyle = "white";
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", QUALITY));
  return { blob, width: canvas.width, height: canvas.height };
}
