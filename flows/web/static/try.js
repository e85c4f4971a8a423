// The page to try a model: drawing, and what is said to those who do not see the page.
// Without this file the form works all the same: as a plain form, with a file in place of a drawing.

const SIDE = 320; // of the longer side of the paper, in its own pixels
const PEN = 0.06; // of that side: the line that is seen, whatever the data's
const FINEST = 256; // of the longer side of the paper whose parts are averaged to the model's pixels

const drawing = document.querySelector("#drawing");
if (drawing) startDrawing(drawing);
document.body.addEventListener("htmx:afterSettle", announce);
document.body.addEventListener("click", copy);
document.body.addEventListener("htmx:sendError", () => say("These pages do not answer any more."));

function say(text) {
  document.querySelector("#said").textContent = text;
}

/** Tell what has changed, and bring it into view on a narrow screen. */
function announce({ target }) {
  if (target.id === "why") return say("The reasons are there.");
  const answer = document.querySelector("#answer, #error");
  const found = answer?.querySelector("#prediction, .problem, #error");
  if (!found) return say("");
  say(answer.querySelector(".prediction") ? `Answer: ${found.textContent}` : found.textContent);
  const wrong = document.querySelector("[aria-invalid]");
  if (wrong) wrong.focus();
  else answer.scrollIntoView({ block: "nearest" });
}

/** Copy the lines below the button that was pressed. */
async function copy({ target }) {
  if (!target.matches("[data-copies]")) return;
  await navigator.clipboard.writeText(document.getElementById(target.dataset.copies).textContent);
  target.textContent = "Copied";
  say("Copied");
}

function startDrawing(place) {
  const style = {
    height: Number(place.dataset.height),
    width: Number(place.dataset.width),
    channels: Number(place.dataset.channels),
    most: Number(place.dataset.most),
    extent: Number(place.dataset.extent),
    pen: Number(place.dataset.pen),
    dark: "dark" in place.dataset,
  };
  // Parts of a pixel's side whose mean is its level.
  style.fine = Math.max(1, Math.min(8, Math.floor(FINEST / Math.max(style.height, style.width))));
  const [paper, file, pixels] = ["#paper", "#file", "#pixels"].map((one) => place.querySelector(one));
  const scale = SIDE / Math.max(style.height, style.width);
  [paper.width, paper.height] = [style.width * scale, style.height * scale];
  let lines = [];
  const send = (levels) => {
    pixels.value = levels ? JSON.stringify(levels) : "";
    if (levels) preview(levels, style);
  };
  const draw = () => {
    const pen = paper.getContext("2d");
    pen.clearRect(0, 0, paper.width, paper.height);
    stroke(pen, lines, SIDE * PEN, (x) => x, (y) => y);
  };
  const keep = () => lines.length && send(fitted(lines, style));
  listen(paper, {
    begin: (point) => {
      lines.push([point]);
      file.value = "";
    },
    go: (point) => {
      lines.at(-1).push(point);
      draw();
    },
    show: () => requestAnimationFrame(keep),
    end: keep,
  });
  place.querySelector("#clear").addEventListener("click", () => {
    lines = [];
    draw();
  });
  file.addEventListener("change", async () => {
    lines = [];
    draw();
    const found = await scaled(file.files[0], style);
    if (!found) return send(null); // the server says what is wrong with it
    send(found.levels);
    if (found.asItIs) pixels.value = "";
    else file.value = "";
  });
  place.querySelector("#desk").hidden = !("drawn" in place.dataset);
  place.querySelector("#scaled").hidden = false;
  place.querySelector("#unscaled").hidden = true;
}

/** Follow a pointer: a mouse, a finger or a pen. Points are [x, y] in the paper's own pixels. */
function listen(paper, { begin, go, show, end }) {
  const at = (event) => {
    const box = paper.getBoundingClientRect();
    return [((event.clientX - box.left) * paper.width) / box.width, ((event.clientY - box.top) * paper.height) / box.height];
  };
  let down = false;
  paper.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    event.preventDefault();
    paper.setPointerCapture(event.pointerId);
    down = true;
    begin(at(event));
    go(at(event)); // a point is a line too
  });
  paper.addEventListener("pointermove", (event) => {
    if (!down) return;
    const parts = event.getCoalescedEvents?.() ?? [];
    for (const part of parts.length ? parts : [event]) go(at(part));
    show();
  });
  for (const name of ["pointerup", "pointercancel"]) {
    paper.addEventListener(name, () => {
      if (down) end();
      down = false;
    });
  }
}

/** Draw lines, each point where `x` and `y` put it. */
function stroke(pen, lines, width, x, y) {
  pen.lineCap = pen.lineJoin = "round";
  pen.strokeStyle = "black";
  pen.lineWidth = width;
  for (const line of lines) {
    pen.beginPath();
    line.forEach(([across, down]) => pen.lineTo(x(across), y(down)));
    pen.stroke();
  }
}

/** A drawing as levels [height][width][1]: as large as the ink of the data is, as thick, and with its mass in the middle. */
function fitted(lines, style) {
  const points = lines.flat();
  const [left, top] = [0, 1].map((axis) => Math.min(...points.map((point) => point[axis])));
  const [right, bottom] = [0, 1].map((axis) => Math.max(...points.map((point) => point[axis])));
  const room = [style.extent * style.width - style.pen, style.extent * style.height - style.pen].map((one) => Math.max(one, 1));
  const least = SIDE / 8; // a dot stays one
  const scale = Math.min(room[0] / Math.max(right - left, least), room[1] / Math.max(bottom - top, least));
  const size = [(right - left) * scale + style.pen, (bottom - top) * scale + style.pen];
  const drawnAt = ([across, down]) => {
    const target = finePaper(style);
    const place = (value, from, begin) => ((value - from) * scale + style.pen / 2 + begin) * style.fine;
    stroke(target, lines, style.pen * style.fine, (x) => place(x, left, across), (y) => place(y, top, down));
    return target;
  };
  const middle = [(style.width - size[0]) / 2, (style.height - size[1]) / 2];
  const mass = centreOfMass(drawnAt(middle).getImageData(0, 0, style.width * style.fine, style.height * style.fine));
  const moved = [
    within(middle[0] + style.width / 2 - mass.x / style.fine, style.width - size[0]),
    within(middle[1] + style.height / 2 - mass.y / style.fine, style.height - size[1]),
  ];
  return averaged(drawnAt(moved), style, (bytes, at) => {
    const ink = bytes[at + 3] / 255;
    return [style.dark ? 1 - ink : ink];
  });
}

/** A file's picture in the shape of the model's, as levels [height][width][channels]; null if it cannot be read.
 * asItIs: it has that shape, and is to be sent unchanged; the levels are then those of the file. */
async function scaled(file, style) {
  const picture = file && (await createImageBitmap(file).catch(() => null));
  if (!picture) return null;
  const asItIs = picture.width === style.width && picture.height === style.height;
  const target = finePaper(style);
  target.imageSmoothingEnabled = !asItIs;
  target.imageSmoothingQuality = "high";
  target.fillStyle = "white"; // below what is transparent, as the reader of files has it
  if (style.channels < 4) target.fillRect(0, 0, target.canvas.width, target.canvas.height);
  target.drawImage(picture, 0, 0, target.canvas.width, target.canvas.height);
  const most = asItIs ? 255 : style.most;
  const levels = averaged(target, { ...style, most }, (bytes, at) => {
    const [red, green, blue, alpha] = [0, 1, 2, 3].map((part) => bytes[at + part] / 255);
    if (style.channels === 1) return [0.299 * red + 0.587 * green + 0.114 * blue];
    return [red, green, blue, alpha].slice(0, style.channels);
  });
  return { levels, asItIs };
}

/** The mean of `value` in each pixel of the model's pictures, as whole levels. */
function averaged(paper, { height, width, channels, most, fine }, value) {
  const { data } = paper.getImageData(0, 0, width * fine, height * fine);
  const pixel = (y, x) => {
    const sums = new Array(channels).fill(0);
    for (let part = 0; part < fine * fine; part++) {
      const at = (y * fine + Math.floor(part / fine)) * width * fine + x * fine + (part % fine);
      value(data, at * 4).forEach((one, channel) => (sums[channel] += one));
    }
    return sums.map((sum) => Math.round((sum / (fine * fine)) * most));
  };
  return Array.from({ length: height }, (_, y) => Array.from({ length: width }, (_, x) => pixel(y, x)));
}

function centreOfMass({ data, width, height }) {
  let [mass, across, down] = [0, 0, 0];
  for (let at = 3; at < data.length; at += 4) {
    const pixel = (at - 3) / 4;
    mass += data[at];
    across += data[at] * ((pixel % width) + 0.5);
    down += data[at] * (Math.floor(pixel / width) + 0.5);
  }
  return { x: across / mass, y: down / mass };
}

function within(value, most) {
  return Math.min(Math.max(value, 0), Math.max(most, 0));
}

/** An empty paper with `fine` times the pixels of the model's pictures. */
function finePaper({ width, height, fine }) {
  const made = Object.assign(document.createElement("canvas"), { width: width * fine, height: height * fine });
  return made.getContext("2d", { willReadFrequently: true });
}

/** Show levels in place of the picture that the server has sent, the highest one as white. */
function preview(levels, style) {
  const canvas = document.querySelector("#seen");
  canvas.hidden = false;
  document.querySelector("#given").hidden = true;
  [canvas.width, canvas.height] = [style.width, style.height];
  const image = new ImageData(style.width, style.height);
  levels.flat().forEach((pixel, place) => {
    const [red, green = red, blue = red, alpha = style.most] = pixel.map((level) => (level * 255) / style.most);
    image.data.set([red, green, blue, style.channels === 4 ? alpha : 255], place * 4);
  });
  canvas.getContext("2d").putImageData(image, 0, 0);
}
