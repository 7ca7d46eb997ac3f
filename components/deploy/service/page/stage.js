// The large picture, the boxes on it, and the ways a picture gets there.

const frame = document.getElementById("frame");
const image = document.getElementById("picture");
const boxes = document.getElementById("boxes");
const mat = document.getElementById("mat");

/** Show a picture, without boxes. */
export function showPicture(picture) {
  clearBoxes();
  image.src = picture.url;
  image.alt = picture.name;
  frame.style.setProperty("--ratio", picture.width / picture.height);
}

/** Show boxes (corners as shares of the picture's sides, with labels); a single one puts the rest in the shade. */
export function showBoxes(parts) {
  while (boxes.children.length > parts.length) boxes.lastChild.remove();
  boxes.classList.toggle("single", parts.length === 1);
  parts.forEach((part, number) => {
    const fresh = !boxes.children[number];
    const box = boxes.children[number] ?? boxes.appendChild(makeBox());
    const place = {
      left: part.x0, top: part.y0, width: part.x1 - part.x0, height: part.y1 - part.y0,
    };
    for (const [side, share] of Object.entries(place)) box.style[side] = `${share * 100}%`;
    box.firstChild.textContent = part.label;
    box.classList.toggle("label-inside", part.y0 < 0.1);
    box.classList.toggle("label-right", part.x0 > 0.6);
    if (fresh) box.classList.add("appears");
  });
}

export function clearBoxes() {
  boxes.replaceChildren();
  boxes.classList.remove("single");
}

/** Show that the model is looking. */
export function setBusy(busy) {
  frame.classList.toggle("busy", busy);
}

/** Call `take(file)` for every picture that is chosen, dropped anywhere or pasted. */
export function acceptPictures(take) {
  const chooser = document.getElementById("file");
  chooser.addEventListener("change", () => {
    if (chooser.files.length) take(chooser.files[0]);
    chooser.value = "";
  });
  let depth = 0;
  const over = (by) => {
    depth = Math.max(0, depth + by);
    mat.classList.toggle("over", depth > 0);
  };
  const carriesFiles = (event) => event.dataTransfer?.types.includes("Files");
  addEventListener("dragenter", (event) => carriesFiles(event) && over(1));
  addEventListener("dragleave", (event) => carriesFiles(event) && over(-1));
  addEventListener("dragover", (event) => carriesFiles(event) && event.preventDefault());
  addEventListener("drop", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    over(-depth);
    if (event.dataTransfer.files.length) take(event.dataTransfer.files[0]);
  });
  addEventListener("paste", (event) => {
    const file = [...event.clipboardData.files].find((candidate) => candidate.type.startsWith("image/"));
    if (file) take(file);
  });
}

function makeBox() {
  const box = document.createElement("div");
  box.className = "box";
  box.append(document.createElement("span"));
  return box;
}
