"use strict";

const byId = (id) => document.getElementById(id);
const SIDES = ["source", "target"];
const STEP = 16;

let facts = null; // what the server says of the pictures
let pixels = {}; // ImageData of the bare pictures, by side
let point = null; // what is picked, in pixels of the source
let mask = null; // a canvas of what is painted, white on black
let found = null; // heat (ImageData) and its strongest pixel
let cursor = null; // where the keyboard is
let asking = false;
let askAgain = false;

async function call(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Error("The program behind this page does not answer. Start it again, then reload.");
  }
  if (response.ok) return response;
  const content = await response.json().catch(() => ({}));
  throw new Error(content.error || `The program answered with error ${response.status}.`);
}

function complain(error) {
  byId("error").textContent = error ? error.message : "";
  byId("error").hidden = !error;
}

async function imageData(blob) {
  const bitmap = await createImageBitmap(blob);
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext("2d");
  context.drawImage(bitmap, 0, 0);
  return context.getImageData(0, 0, bitmap.width, bitmap.height);
}

async function show(state) {
  facts = state;
  document.title = `Correspondences · ${state.title}`;
  byId("system").textContent = state.title;
  byId("k").textContent = state.top_k;
  pixels = {};
  for (const side of SIDES) {
    const picture = state.pictures[side];
    const canvas = byId(side);
    canvas.hidden = !picture;
    byId(`${side}_empty`).hidden = Boolean(picture);
    if (!picture) continue;
    byId(`${side}_name`).textContent = `${picture.name} · ${picture.width} × ${picture.height}`;
    const answer = await call(`pictures/${side}?revision=${state.revision}`);
    pixels[side] = await imageData(await answer.blob());
    canvas.width = picture.width;
    canvas.height = picture.height;
    const frame = state.pictures.source || picture; // a pixel is as large on both sides
    canvas.style.setProperty("--ratio", frame.width / frame.height);
    canvas.style.setProperty("--share", state.ready ? picture.width / frame.width : 1);
  }
  clear();
}

function clear() {
  [point, mask, found, cursor] = [null, null, null, null];
  byId("status").value = facts.ready ? "Pick something in the source" : "Choose two pictures";
  draw();
}

// The official tool's overlay: dimmed, and red by twice the heat.
function overlaid(picture, heat) {
  const result = new ImageData(picture.width, picture.height);
  for (let i = 0; i < result.data.length; i += 4) {
    const value = Math.min((2 * heat.data[i]) / 255, 1);
    const light = 0.7 * (1 - value) + 0.3 * value;
    result.data[i] = picture.data[i] * light + 255 * 0.7 * value;
    result.data[i + 1] = picture.data[i + 1] * light;
    result.data[i + 2] = picture.data[i + 2] * light;
    result.data[i + 3] = 255;
  }
  return result;
}

function ring(context, [x, y], colour) {
  const scale = context.canvas.width / (context.canvas.clientWidth || 640);
  for (const [width, stroke] of [[5, "#000a"], [2.5, colour]]) {
    context.beginPath();
    context.arc(x + 0.5, y + 0.5, 10 * scale, 0, 2 * Math.PI);
    context.lineWidth = width * scale;
    context.strokeStyle = stroke;
    context.stroke();
  }
}

function drawSource() {
  if (!pixels.source) return;
  const context = byId("source").getContext("2d");
  const painted = mask && mask.getContext("2d").getImageData(0, 0, mask.width, mask.height);
  context.putImageData(painted ? overlaid(pixels.source, painted) : pixels.source, 0, 0);
  if (point) ring(context, point, "#ff5a52");
  if (cursor) ring(context, cursor, "#6cb6ff");
}

function draw() {
  drawSource();
  if (!pixels.target) return;
  const context = byId("target").getContext("2d");
  context.putImageData(found ? overlaid(pixels.target, found.heat) : pixels.target, 0, 0);
  if (found && found.peak) ring(context, found.peak, "#ffffff");
}

function request() {
  const query = new URLSearchParams({
    revision: facts.revision,
    top_k: byId("top_k").checked ? 1 : 0,
  });
  if (!mask) {
    query.set("x", point[0]);
    query.set("y", point[1]);
    return Promise.resolve([query, undefined]);
  }
  return new Promise((done) => mask.toBlob((blob) => done([query, blob]), "image/png"));
}

// One question at a time; what was picked meanwhile is asked afterwards.
async function ask() {
  if (!facts.ready || !(point || mask)) return;
  askAgain = asking;
  if (asking) return;
  asking = true;
  const started = performance.now();
  try {
    const [query, body] = await request();
    const answer = await (await call(`heat?${query}`, { method: "POST", body })).json();
    const png = Uint8Array.from(atob(answer.heat), (letter) => letter.charCodeAt(0));
    const heat = await imageData(new Blob([png], { type: "image/png" }));
    if (point || mask) {
      found = { heat, peak: answer.peak };
      draw();
      const seconds = (performance.now() - started) / 1000;
      byId("status").value = answer.peak
        ? `Strongest at ${answer.peak.join(", ")} · ${seconds.toFixed(2)} s`
        : `None of the target's cells has this place among its best ${facts.top_k}`;
    }
    complain(null);
  } catch (error) {
    complain(error);
  }
  asking = false;
  if (askAgain) ask();
}

function pick(position, before) {
  if (!pixels.source) return;
  if (byId("tools").elements.mode.value === "point") {
    [point, mask] = [position, null];
  } else {
    stroke(before || position, position);
  }
  drawSource();
  ask();
}

function stroke(from, to) {
  if (!mask) {
    mask = Object.assign(document.createElement("canvas"), {
      width: pixels.source.width,
      height: pixels.source.height,
    });
    mask.getContext("2d", { willReadFrequently: true }).fillRect(0, 0, mask.width, mask.height);
  }
  point = null;
  const context = mask.getContext("2d");
  context.strokeStyle = "#fff";
  context.lineCap = "round";
  context.lineWidth = (byId("brush").valueAsNumber * mask.width) / 640;
  context.beginPath();
  context.moveTo(...from);
  context.lineTo(to[0] + 0.01, to[1]);
  context.stroke();
}

function position(event) {
  const box = byId("source").getBoundingClientRect();
  return [
    within(((event.clientX - box.left) / box.width) * pixels.source.width, pixels.source.width),
    within(((event.clientY - box.top) / box.height) * pixels.source.height, pixels.source.height),
  ];
}

function within(value, length) {
  return Math.min(Math.max(Math.floor(value), 0), length - 1);
}

let last = null; // where the pressed pointer was
byId("source").addEventListener("pointerdown", (event) => {
  if (event.button !== 0) return;
  byId("source").setPointerCapture(event.pointerId);
  cursor = null;
  last = position(event);
  pick(last);
});
byId("source").addEventListener("pointermove", (event) => {
  if (!last) return;
  const now = position(event);
  pick(now, last);
  last = now;
});
for (const kind of ["pointerup", "pointercancel"]) {
  byId("source").addEventListener(kind, () => (last = null));
}

const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
byId("source").addEventListener("keydown", (event) => {
  const { width, height } = pixels.source;
  cursor ??= point || [width >> 1, height >> 1];
  if (event.key in MOVES) {
    const step = event.shiftKey ? 1 : STEP;
    const [x, y] = MOVES[event.key];
    cursor = [within(cursor[0] + step * x, width), within(cursor[1] + step * y, height)];
    drawSource();
  } else if (event.key === "Enter" || event.key === " ") {
    pick(cursor);
  } else if (event.key === "Escape") {
    clear();
  } else {
    return;
  }
  event.preventDefault();
});

byId("tools").addEventListener("submit", (event) => event.preventDefault());
byId("tools").addEventListener("change", (event) => {
  if (event.target.name === "mode") {
    const painting = event.target.value === "mask";
    byId("brush_row").hidden = !painting;
    byId("press").textContent = painting ? "Press and drag to paint" : "Click or drag";
    clear();
  }
});
byId("top_k").addEventListener("change", ask);
byId("clear").addEventListener("click", clear);

for (const side of SIDES) {
  byId(`${side}_file`).addEventListener("change", async (event) => {
    const file = event.target.files[0];
    event.target.value = "";
    if (!file) return;
    byId("busy").hidden = false;
    try {
      if (file.size > facts.upload_bytes) {
        throw new Error(`${file.name} is larger than ${facts.upload_bytes >> 20} MB.`);
      }
      const body = new FormData();
      body.append(side, file);
      await show(await (await call("pictures", { method: "POST", body })).json());
      complain(null);
    } catch (error) {
      complain(error);
    }
    byId("busy").hidden = true;
  });
}

call("state")
  .then(async (answer) => show(await answer.json()))
  .catch(complain);
