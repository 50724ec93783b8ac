"use strict";
// Sliders over the closed form, and its comparison with the tables of the run.

const RESULTS = JSON.parse(document.getElementById("data").textContent);
const AGREES = 1e-6;
const LEAST_LOGARITHM = -300;
const STEPS_OF_STIMULUS = 12, STEPS_OF_REST = 12;

function powerText(value) {
  return value === 0 ? "0" : value.toExponential(0);
}

/** Sliders move over logarithms of times and decays; each has its range around the run's own value. */
const SLIDERS = {
  timeConstant: {id: "time-constant", logarithmic: true, unit: " s"},
  decay: {id: "decay", logarithmic: true, unit: ""},
  cycle: {id: "cycle", logarithmic: true, unit: " s"},
  stimulus: {id: "stimulus", logarithmic: false, low: 0.02, high: 1, step: 0.01, unit: ""},
  segments: {id: "segments", logarithmic: false, low: 1, step: 1, unit: ""},
};

function showAgreement(table) {
  const found = compare(table), worst = Math.max(found.factors, found.remaining, found.process);
  const line = document.getElementById("agreement"), agrees = worst <= AGREES;
  // Rounded up, so that the sentence stays true.
  const bound = worst === 0 ? "the last bit" : `1e${Math.ceil(Math.log10(worst))}`;
  line.className = agrees ? "agree" : "differ";
  line.textContent = (agrees ? `closed form and tables agree to ${bound}` : `closed form and tables differ by up to ${powerText(worst)}`)
    + ` (retention factors ${powerText(found.factors)}, remaining memory ${powerText(found.remaining)}, long-term process at the ends `
    + `of cycles ${powerText(found.process)} of its end; ${found.compared} factors of ${found.lengths} lengths T compared in this page)`;
  document.getElementById("validity").textContent = table.reasons.length === 0
    ? "All four hold for this run, so a comes from its parameters alone; the tables come from the simulated curve."
    : `For this run it is an approximation, because ${table.reasons.join("; ")}. It takes the rate a that was fitted to the simulated curve, `
      + "with the decay set to 1.";
}

/** The curve of p within T cycles as points (s, p). */
function processLine(p, height, segments) {
  const points = [[0, 0]], on = p.stimulus * p.cycle;
  const fine = segments > 64 ? 2 : 1;
  for (let cycle = 0; cycle < segments; cycle++) {
    for (let step = fine; step <= STEPS_OF_STIMULUS; step += fine) points.push([cycle, on * step / STEPS_OF_STIMULUS]);
    if (p.stimulus === 1) continue;
    for (let step = fine; step <= STEPS_OF_REST; step += fine) points.push([cycle, on + (p.cycle - on) * step / STEPS_OF_REST]);
  }
  return points.map(([cycle, time]) => [cycle * p.cycle + time, processWithin(p, height, cycle, time)]);
}

function drawExplorer(table, p, segments) {
  const rate = rateOf(p), shares = factors(segments, rate), logs = remainingLogs(shares);
  // The height that gives the first increment of the run at its own parameters.
  const height = table.weight[0] / firstIncrement(table.own);
  const line = processLine(p, height, segments), top = Math.max(...line.map(each => each[1]));
  const numbered = values => values.map((value, index) => [index + 1, value]);
  const theirs = segments <= table.weight.length ? tableFactors(table, segments) : [];
  const range = [1, Math.max(2, segments)];
  drawPlot(document.getElementById("plot-process"), {
    x: [0, segments * p.cycle], y: [0, 1.08 * top], xLabel: "time t (s)", line,
    circles: table.curve.map((value, index) => [(index + 1) * table.own.cycle, value]),
    description: `long-term process over ${segments} cycles; it ends at ${numberText(line[line.length - 1][1])}`,
  });
  drawPlot(document.getElementById("plot-factors"), {
    x: range, y: [0, 1.08 * Math.max(shares[0], ...theirs)], xLabel: "segment t", wholeX: true,
    line: numbered(shares), dots: numbered(shares), circles: numbered(theirs),
    description: `retention factors from ${numberText(shares[0])} to ${numberText(shares[segments - 1])}`,
  });
  const shown = logs.map(each => Math.max(each, LEAST_LOGARITHM));
  drawPlot(document.getElementById("plot-remaining"), {
    x: range, y: [Math.min(-1, Math.floor(shown[0])), 0], xLabel: "segment t", wholeX: true, logarithmic: true,
    line: numbered(shown), dots: numbered(shown), circles: numbered(remainingLogs(theirs)),
    description: `remaining memory, 1e${shown[0].toFixed(1)} of the first segment`,
  });
  const first = logs[0] > LEAST_LOGARITHM ? (10 ** logs[0]).toExponential(2) : `1e${Math.round(logs[0])}`;
  document.getElementById("readout").textContent = `a = ${rate.toPrecision(4)} per cycle; RF(1, T) = ${shares[0].toPrecision(4)}, `
    + `RF(T, T) = ${shares[segments - 1].toPrecision(4)}; of segment 1 remains ${first}`;
}

function startExplorer() {
  const choice = document.getElementById("tables-choice");
  if (!choice) return;
  let table, state;
  const draw = () => drawExplorer(table, state, state.segments);
  const show = name => {
    const slider = SLIDERS[name], value = state[name];
    const input = document.getElementById(slider.id), words = numberText(value) + slider.unit;
    input.value = slider.logarithmic ? Math.log10(value) : value;
    input.setAttribute("aria-valuetext", words);
    document.querySelector(`output[for="${slider.id}"]`).textContent = words;
  };
  const reset = () => {
    state = {...table.own, segments: Math.min(8, table.most)};
    Object.keys(SLIDERS).forEach(show);
    draw();
  };
  const choose = index => {
    table = RESULTS.tables[index];
    for (const [name, slider] of Object.entries(SLIDERS)) {
      const input = document.getElementById(slider.id), centre = Math.log10(table.own[name]);
      input.min = slider.logarithmic ? centre - 1 : slider.low;
      input.max = slider.logarithmic ? centre + 1 : slider.high || table.most;
      input.step = slider.logarithmic ? 0.01 : slider.step;
    }
    showAgreement(table);
    reset();
  };
  for (const [name, slider] of Object.entries(SLIDERS)) {
    document.getElementById(slider.id).addEventListener("input", event => {
      const value = Number(event.target.value);
      state[name] = slider.logarithmic ? 10 ** value : value;
      show(name);
      draw();
    });
  }
  RESULTS.tables.forEach((each, index) => choice.add(new Option(each.name, index)));
  choice.closest(".choice").hidden = RESULTS.tables.length < 2;
  choice.addEventListener("change", () => choose(Number(choice.value)));
  document.getElementById("reset").addEventListener("click", reset);
  choose(0);
  new ResizeObserver(draw).observe(document.getElementById("plot-process"));
}

function listContents() {
  const contents = document.getElementById("contents");
  for (const part of document.querySelectorAll("section.part")) {
    const link = document.createElement("a");
    link.href = `#${part.id}`;
    link.textContent = part.querySelector("h2").textContent;
    contents.append(link);
  }
}

listContents();
startExplorer();
