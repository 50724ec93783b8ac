"use strict";
// The long-term process under equal cycles; distill/retention.py has the same formulas.

/** a = gamma tau_cycle / tau, per cycle. */
function rateOf(p) {
  return p.decay * p.cycle / p.timeConstant;
}

/** RF(t, T) of the geometric law. */
function factor(t, segments, rate) {
  return Math.exp(-rate * (t - 1)) * Math.expm1(-rate) / Math.expm1(-rate * segments);
}

function factors(segments, rate) {
  return Array.from({length: segments}, (_, index) => factor(index + 1, segments, rate));
}

/** log10 of RF(t, T) RF(t + 1, T) ... RF(T - 1, T) for each t; logarithms do not underflow. */
function remainingLogs(shares) {
  const logs = new Array(shares.length).fill(0);
  for (let index = shares.length - 2; index >= 0; index--) {
    logs[index] = logs[index + 1] + Math.log10(shares[index]);
  }
  return logs;
}

/** p after n cycles, in units of the first increment. */
function processAfter(cycles, rate) {
  return Math.expm1(-rate * cycles) / Math.expm1(-rate);
}

/** The first increment of a drive of height 1 during the stimulus. */
function firstIncrement(p) {
  const speed = p.decay / p.timeConstant, on = p.stimulus * p.cycle;
  return -Math.expm1(-speed * on) * Math.exp(-speed * (p.cycle - on)) / p.decay;
}

/** p at `time` s after the start of cycle `cycle`, counted from 0, for a drive of `height`. */
function processWithin(p, height, cycle, time) {
  const speed = p.decay / p.timeConstant, on = Math.min(time, p.stimulus * p.cycle);
  const start = height * firstIncrement(p) * processAfter(cycle, rateOf(p));
  const driven = -Math.expm1(-speed * on) * Math.exp(-speed * (time - on)) * height / p.decay;
  return start * Math.exp(-speed * time) + driven;
}

function tableFactors(table, segments) {
  return table.weight.slice(0, segments).map(weight => weight / table.total[segments - 1]);
}

/** Lengths T to compare: all up to 64, then doublings, and the longest. */
function comparedLengths(longest) {
  const lengths = [];
  for (let length = 1; length <= longest; length = length < 64 ? length + 1 : 2 * length) lengths.push(length);
  if (lengths[lengths.length - 1] !== longest) lengths.push(longest);
  return lengths;
}

/** The largest differences of the closed form and the tables, and how many factors were compared. */
function compare(table) {
  const rate = rateOf(table.own), found = {factors: 0, remaining: 0, process: 0, compared: 0, lengths: 0};
  for (const length of comparedLengths(table.weight.length)) {
    const ours = factors(length, rate), theirs = tableFactors(table, length);
    const [left, right] = [remainingLogs(ours), remainingLogs(theirs)];
    for (let index = 0; index < length; index++) {
      found.factors = Math.max(found.factors, Math.abs(ours[index] - theirs[index]));
      found.remaining = Math.max(found.remaining, Math.abs(10 ** left[index] - 10 ** right[index]));
    }
    found.compared += length;
    found.lengths += 1;
  }
  const end = table.curve[table.curve.length - 1];
  table.curve.forEach((value, index) => {
    const difference = Math.abs(table.weight[0] * processAfter(index + 1, rate) - value) / end;
    found.process = Math.max(found.process, difference);
  });
  return found;
}
