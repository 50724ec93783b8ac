"use strict";
// The synapses of the traces as coloured cells, played or scrubbed.

const PLAYING_SECONDS = 15;
// Viridis at equal distances: its brightness rises evenly, also for colour-blind readers.
const COLOURS = [
  [68, 1, 84], [71, 45, 123], [59, 82, 139], [44, 114, 142], [33, 145, 140], [40, 174, 128], [94, 201, 98], [173, 220, 48],
  [253, 231, 37],
];

function colour(level) {
  const place = level / 255 * (COLOURS.length - 1), before = Math.min(Math.floor(place), COLOURS.length - 2);
  const mixed = COLOURS[before].map((value, index) => value + (place - before) * (COLOURS[before + 1][index] - value));
  return `rgb(${mixed.map(Math.round).join(",")})`;
}

function bytesOf(text) {
  return Uint8Array.from(atob(text), character => character.charCodeAt(0));
}

function drawGrid(canvas, levels, rows, columns) {
  const side = canvas.clientWidth, dense = window.devicePixelRatio || 1;
  const cell = side / Math.max(rows, columns), gap = cell > 12 ? 2 : 0;
  canvas.width = Math.round(side * dense);
  canvas.height = Math.round(cell * rows * dense);
  const context = canvas.getContext("2d");
  context.scale(dense, dense);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      context.fillStyle = colour(levels[row * columns + column]);
      // Without a gap, half a pixel more avoids seams between cells.
      context.fillRect(column * cell, row * cell, cell - gap + (gap ? 0 : 0.5), cell - gap + (gap ? 0 : 0.5));
    }
  }
}

function drawScale(canvas) {
  const context = canvas.getContext("2d");
  for (let level = 0; level < 256; level++) {
    context.fillStyle = colour(level);
    context.fillRect(level, 0, 1, 1);
  }
}

function startAnimation() {
  const [traces, variables, scrub, play, canvas] = ["traces-choice", "variable-choice", "frame", "play", "grid"]
    .map(id => document.getElementById(id));
  if (!traces) return;
  let run, variable, levels, playing = 0;
  const draw = () => {
    const frame = Number(scrub.value), [rows, columns] = [run.post.length, run.pre.length];
    const shown = levels.subarray(frame * rows * columns, (frame + 1) * rows * columns);
    drawGrid(canvas, shown, rows, columns);
    const words = `${numberText(run.time[frame])} s, stimulus ${run.driven[frame] ? "on" : "off"}`;
    const mean = variable.low + (variable.high - variable.low) * shown.reduce((sum, each) => sum + each, 0) / shown.length / 255;
    document.getElementById("frame-time").textContent = words;
    scrub.setAttribute("aria-valuetext", words);
    canvas.setAttribute("aria-label", `${variable.label} at ${words}; mean ${numberText(mean)}`);
  };
  const stop = () => {
    cancelAnimationFrame(playing);
    playing = 0;
    play.textContent = "play";
    play.setAttribute("aria-pressed", "false");
  };
  const start = () => {
    const last = run.time.length - 1;
    if (Number(scrub.value) >= last) scrub.value = 0;
    const first = Number(scrub.value), began = performance.now();
    play.textContent = "pause";
    play.setAttribute("aria-pressed", "true");
    const next = now => {
      scrub.value = Math.min(last, first + Math.floor(Math.max(0, now - began) / 1000 / PLAYING_SECONDS * last));
      draw();
      playing = Number(scrub.value) < last ? requestAnimationFrame(next) : 0;
      if (!playing) stop();
    };
    playing = requestAnimationFrame(next);
  };
  const chooseVariable = () => {
    variable = run.variables[Number(variables.value)];
    levels = bytesOf(variable.data);
    const unit = variable.unit === "1" ? "" : ` ${variable.unit}`;
    document.getElementById("scale-low").textContent = numberText(variable.low) + unit;
    document.getElementById("scale-high").textContent = numberText(variable.high) + unit;
    draw();
  };
  const chooseTraces = () => {
    stop();
    run = RESULTS.animations[Number(traces.value)];
    variables.replaceChildren(...run.variables.map((each, index) => new Option(each.label, index)));
    // Before the first frame facilitation is zero everywhere, so start where something can be seen.
    scrub.max = run.time.length - 1;
    scrub.value = Math.max(0, run.driven.lastIndexOf(true, Math.floor(run.time.length / 6)));
    const shown = run.post.length * run.pre.length;
    document.getElementById("grid-note").textContent = "Rows are postsynaptic neurons, columns presynaptic ones. "
      + (shown < run.synapses ? `${shown} of ${run.synapses} synapses are shown, evenly chosen. ` : "")
      + `${run.time.length} frames; colours have 256 levels.`;
    chooseVariable();
  };
  RESULTS.animations.forEach((each, index) => traces.add(new Option(each.name, index)));
  traces.addEventListener("change", chooseTraces);
  variables.addEventListener("change", chooseVariable);
  scrub.addEventListener("input", () => { stop(); draw(); });
  play.addEventListener("click", () => playing ? stop() : start());
  drawScale(document.getElementById("scale"));
  chooseTraces();
  new ResizeObserver(draw).observe(canvas.parentElement);
}

startAnimation();
