"use strict";
// Line plots as SVG, in the size of their element.

const SVG = "http://www.w3.org/2000/svg";
const MARGIN = {left: 54, right: 14, top: 10, bottom: 40};

function shape(parent, tag, attributes, text) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  parent.append(made);
  return made;
}

/** About `count` round numbers from `low` to `high`. */
function ticks(low, high, count, whole) {
  const rough = (high - low) / count, power = 10 ** Math.floor(Math.log10(rough));
  let step = [1, 2, 5, 10].map(each => each * power).find(each => each >= rough);
  if (whole) step = Math.max(1, Math.round(step));
  const found = [];
  for (let index = Math.ceil(low / step); index * step <= high + 1e-9 * step; index++) found.push(index * step);
  return found;
}

function numberText(value) {
  return String(Number(value.toPrecision(3)));
}

/**
 * Draw lines and circles.
 *
 * spec: x and y ranges, labels, `wholeX`, `logarithmic` (y holds powers of ten), `line` and `dots`, `circles`: points.
 */
function drawPlot(svg, spec) {
  const width = svg.clientWidth || 600, height = svg.clientHeight || 220;
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.replaceChildren();
  const inner = {width: width - MARGIN.left - MARGIN.right, height: height - MARGIN.top - MARGIN.bottom};
  const toX = x => MARGIN.left + (x - spec.x[0]) / (spec.x[1] - spec.x[0]) * inner.width;
  const toY = y => MARGIN.top + (1 - (y - spec.y[0]) / (spec.y[1] - spec.y[0])) * inner.height;
  drawAxes(svg, spec, toX, toY, width, height);
  const inside = ([x, y]) => x >= spec.x[0] && x <= spec.x[1] && y >= spec.y[0] && y <= spec.y[1];
  if (spec.line) {
    const path = spec.line.map(([x, y]) => `${toX(x).toFixed(2)},${toY(y).toFixed(2)}`).join(" ");
    shape(svg, "polyline", {class: "line", points: path});
  }
  const radius = (spec.dots || []).length > 40 ? 1.8 : 3;
  for (const [x, y] of (spec.dots || []).filter(inside)) {
    shape(svg, "circle", {class: "dot", cx: toX(x).toFixed(2), cy: toY(y).toFixed(2), r: radius});
  }
  for (const [x, y] of (spec.circles || []).filter(inside)) {
    shape(svg, "circle", {class: "circle", cx: toX(x).toFixed(2), cy: toY(y).toFixed(2), r: radius + 3});
  }
  svg.setAttribute("aria-label", spec.description);
}

function drawAxes(svg, spec, toX, toY, width, height) {
  const bottom = height - MARGIN.bottom;
  for (const tick of ticks(spec.x[0], spec.x[1], Math.max(3, width / 90), spec.wholeX)) {
    shape(svg, "text", {x: toX(tick), y: bottom + 16, "text-anchor": "middle"}, numberText(tick));
  }
  for (const tick of ticks(spec.y[0], spec.y[1], 4, spec.logarithmic)) {
    shape(svg, "line", {class: "rule", x1: MARGIN.left, x2: width - MARGIN.right, y1: toY(tick), y2: toY(tick)});
    const words = spec.logarithmic && Math.abs(tick) > 3 ? `1e${tick}` : numberText(spec.logarithmic ? 10 ** tick : tick);
    shape(svg, "text", {x: MARGIN.left - 6, y: toY(tick) + 4, "text-anchor": "end"}, words);
  }
  shape(svg, "line", {class: "axis", x1: MARGIN.left, x2: width - MARGIN.right, y1: bottom, y2: bottom});
  shape(svg, "text", {x: (MARGIN.left + width - MARGIN.right) / 2, y: height - 6, "text-anchor": "middle"}, spec.xLabel);
}
