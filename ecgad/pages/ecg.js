'use strict';
// The ECG on paper: what its samples are, and how a stretch of it is drawn.

const MM = 96 / 25.4; // CSS pixels
const SPEED = 25; // mm a second
const GAIN = 10; // mm a millivolt
const MISSING = -32768;
const MARKS_MM = 11; // above the ECG, for the verdicts
const SCALE_MM = 5; // below it, for times
// mV around its median that the ECG of a lead gets at least, and at most.
const LEAST = { above: 1.2, below: 0.8 };
const MOST = { above: 3.2, below: 2.4 };

// Samples of several leads in pieces. The bytes hold differences from sample to sample, lead after
// lead, their sign in the lowest bit: first the lower bytes of all, then the upper ones.
class Ecg {
  constructor(about, leads, buffer) {
    this.rate = about.rate;
    this.step = about.step;
    this.leads = leads;
    const bytes = new Uint8Array(buffer);
    const upper = bytes.length / 2;
    let at = 0;
    this.pieces = about.pieces.map(([start, length]) => {
      const ofLeads = leads.map(() => {
        const values = new Int16Array(length);
        let value = 0;
        for (let i = 0; i < length; i++, at++) {
          const code = bytes[at] | (bytes[upper + at] << 8);
          value += (code >>> 1) ^ -(code & 1);
          values[i] = value; // of 16 bits, as the differences are
        }
        return values;
      });
      return { start, length, leads: ofLeads };
    });
  }

  // The piece that holds a stretch, in seconds, whole but for a sample or two; undefined where none
  // does.
  piece(from, to) {
    const near = 2 / this.rate;
    return this.pieces.find(({ start, length }) =>
      start - near <= from && to <= start + length / this.rate + near);
  }

  // The samples of a stretch: {start in seconds, values in mV with NaN where one is missing}.
  stretch(lead, from, to) {
    const piece = this.piece(from, to);
    if (!piece) return { start: from, values: new Float32Array(0) };
    const first = atMost(Math.floor((from - piece.start) * this.rate), 0, piece.length);
    const last = atMost(Math.ceil((to - piece.start) * this.rate) + 1, first, piece.length);
    const values = Float32Array.from(piece.leads[lead].subarray(first, last),
      (value) => (value === MISSING ? NaN : value * this.step));
    return { start: piece.start + first / this.rate, values };
  }
}

// Of many values, of a part of them: it is for the eye.
function medianOf(values) {
  const every = Math.ceil(values.length / 5000);
  const some = every > 1 ? values.filter((_, i) => i % every === 0) : values;
  const sorted = Float32Array.from(some).filter((value) => !Number.isNaN(value)).sort();
  return sorted.length ? sorted[sorted.length >> 1] : 0;
}

// What of a lead is to be seen: its median, and how far above and below it the paper reaches.
function rangeOf(values) {
  const middle = medianOf(values);
  let [above, below] = [LEAST.above, LEAST.below];
  for (const value of values) {
    if (value - middle > above) above = value - middle;
    if (middle - value > below) below = middle - value;
  }
  const whole = (size, most) => Math.ceil(Math.min(size + 0.1, most) * 2) / 2;
  return { middle, above: whole(above, MOST.above), below: whole(below, MOST.below) };
}

// The line through samples, as a path. x, y: from seconds and mV to the units of the drawing.
// Where there are many samples to a unit of `resolution`, the least and the most of each are drawn.
function tracePath(stretch, rate, x, y, resolution) {
  const { start, values } = stretch;
  const parts = [];
  let up = true; // the pen
  const to = (seconds, value) => {
    parts.push(`${up ? 'M' : 'L'}${x(seconds).toFixed(2)} ${y(value).toFixed(2)}`);
    up = false;
  };
  const unit = (x(start + 1 / rate) - x(start)) / resolution;
  const together = Math.max(1, Math.floor(1 / unit / 2));
  if (together < 2) {
    values.forEach((value, i) => {
      if (Number.isNaN(value)) up = true;
      else to(start + i / rate, value);
    });
    return parts.join('');
  }
  for (let i = 0; i < values.length; i += together) {
    let [low, high, lowAt, highAt] = [Infinity, -Infinity, 0, 0];
    for (let j = i; j < Math.min(i + together, values.length); j++) {
      if (values[j] < low) [low, lowAt] = [values[j], j];
      if (values[j] > high) [high, highAt] = [values[j], j];
    }
    if (low === Infinity) {
      up = true;
      continue;
    }
    const ends = lowAt < highAt ? [[lowAt, low], [highAt, high]] : [[highAt, high], [lowAt, low]];
    ends.forEach(([at, value]) => to(start + at / rate, value));
  }
  return parts.join('');
}

// The grid of the paper: fine lines each millimetre, strong ones each five.
function paperGrid(width, height, mm, fine = true) {
  const lines = (step, length) => {
    let path = '';
    for (let at = 0; at <= width + 0.01; at += step) path += `M${at.toFixed(2)} 0V${height}`;
    for (let at = 0; at <= height + 0.01; at += step) path += `M0 ${at.toFixed(2)}H${length}`;
    return path;
  };
  return drawn('g', { class: 'grid', 'aria-hidden': 'true' },
    drawn('rect', { class: 'paper', width, height }),
    fine ? drawn('path', { class: 'minor', d: lines(mm, width) }) : null,
    drawn('path', { class: 'major', d: lines(5 * mm, width) }));
}

// A score in two figures, or in as many as tell it from the threshold.
function shortScore(score, threshold) {
  const words = (value, digits) => (value >= 10 ** digits ? String(Math.round(value)) : value.toPrecision(digits));
  const digits = [2, 3, 4].find((n) => words(score, n) !== words(threshold, n)) ?? 4;
  return words(score, digits);
}

const VERDICTS = { 1: 'anomalous', 0: 'normal', [-1]: 'not judged' };

// Marks above the beats of a stretch: filled triangles are anomalous, open circles normal, dashes
// not judged; below each its score. Without room for scores, the anomalous ones alone.
function beatMarks(beats, threshold, x, mm, room) {
  const group = drawn('g', { class: 'marks', 'aria-hidden': 'true' });
  let [lastAt, lastLine] = [-Infinity, 0];
  for (const beat of beats) {
    const at = x(beat.at);
    const anomalous = beat.verdict === 1;
    if (!room && !anomalous) continue;
    const kind = VERDICTS[beat.verdict].replace(' ', '-');
    const shape = anomalous
      ? drawn('path', { d: `M${at - 1.3 * mm} ${1.2 * mm}h${2.6 * mm}l${-1.3 * mm} ${2.4 * mm}z` })
      : beat.verdict === 0
        ? drawn('circle', { cx: at, cy: 2.4 * mm, r: 0.9 * mm })
        : drawn('path', { d: `M${at - mm} ${2.4 * mm}h${2 * mm}` });
    const mark = drawn('g', { class: `mark ${kind}` }, shape);
    group.append(mark);
    if (!room || beat.score === null) continue;
    // Scores of beats that are close stand on two lines in turn.
    lastLine = at - lastAt < 7 * mm ? 1 - lastLine : 0;
    lastAt = at;
    mark.append(drawn('text', {
      x: at, y: (7 + 3 * lastLine) * mm, 'text-anchor': 'middle', 'font-size': 2.7 * mm,
    }, shortScore(beat.score, threshold)));
  }
  return group;
}

// A stretch of ECG on paper, in millimetres: 25 mm a second and 10 mm a millivolt, marked.
// beats: those within; threshold: of their scores. shaded: [from, to] in seconds of what it is about.
// label: for those who hear.
function paperStrip(ecg, from, to, beats, threshold, shaded, label, times) {
  const width = (to - from) * SPEED;
  const x = (seconds) => (seconds - from) * SPEED;
  const stretches = ecg.leads.map((_, lead) => ecg.stretch(lead, from, to));
  const ranges = stretches.map(({ values }) => rangeOf(values));
  const heights = ranges.map(({ above, below }) => (above + below) * GAIN);
  const height = MARKS_MM + heights.reduce((a, b) => a + b, 0) + SCALE_MM;
  const svg = drawn('svg', {
    class: 'ecg', role: 'img', 'aria-label': label,
    viewBox: `0 0 ${width} ${height}`, width: `${width}mm`, height: `${height}mm`,
  }, paperGrid(width, height, 1));
  if (shaded) {
    svg.append(drawn('rect', {
      class: 'shade', x: Math.max(0, x(shaded[0])), y: 0, height,
      width: Math.min(width, x(shaded[1])) - Math.max(0, x(shaded[0])),
    }));
  }
  let top = MARKS_MM;
  stretches.forEach((stretch, lead) => {
    const { middle, above } = ranges[lead];
    const zero = top + above * GAIN;
    const d = tracePath(stretch, ecg.rate, x, (mV) => zero - (mV - middle) * GAIN, 0.1);
    svg.append(drawn('path', { class: 'trace', d, 'data-lead': ecg.leads[lead] }));
    svg.append(drawn('text', { class: 'lead', x: 1.2, y: top + 3.2, 'font-size': 3.2 },
      ecg.leads[lead]));
    top += heights[lead];
  });
  svg.append(beatMarks(beats, threshold, x, 1, true), timeScale(from, to, x, height, 1, times, 2));
  svg.append(drawn('text', {
    class: 'scale', x: width - 1.2, y: height - 1.3, 'text-anchor': 'end', 'font-size': 2.8,
  }, '25 mm/s · 10 mm/mV'));
  return svg;
}

// Times along the lower edge, each `every` seconds. times: from seconds to words.
function timeScale(from, to, x, height, mm, times, every) {
  const group = drawn('g', { class: 'times', 'aria-hidden': 'true' });
  for (let at = Math.ceil(from / every) * every; at < to; at += every) {
    const left = x(at);
    group.append(drawn('path', { d: `M${left} ${height}v${-1.5 * mm}` }));
    // The words on the scale stand at the right.
    if (left < x(to) - 58 * mm) {
      group.append(drawn('text', { x: left + 0.6 * mm, y: height - 1.3 * mm, 'font-size': 2.8 * mm },
        times(at)));
    }
  }
  return group;
}

// A beat over the patient's usual beat, both less their medians: 50 mm a second, 20 mm a millivolt.
function beatOverlay(ecg, lead, peak, usual, label) {
  const [speed, gain] = [50, 20];
  const length = usual.middle[lead].length / ecg.rate;
  const beat = ecg.stretch(lead, peak - usual.before, peak - usual.before + length);
  const middle = medianOf(beat.values);
  const shown = beat.values.map((value) => value - middle);
  const all = [...shown, ...usual.low[lead], ...usual.high[lead]].filter((v) => !Number.isNaN(v));
  const above = Math.ceil(Math.min(Math.max(...all, 0.4), 2.5) * 4 + 0.4) / 4;
  const below = Math.ceil(Math.min(Math.max(...all.map((v) => -v), 0.3), 2) * 4 + 0.4) / 4;
  const width = length * speed;
  const height = (above + below) * gain;
  const x = (seconds) => (seconds + usual.before) * speed;
  const y = (mV) => (above - mV) * gain;
  const along = (values) => values.map((value, i) => `${x(i / ecg.rate - usual.before).toFixed(2)} ${y(value).toFixed(2)}`);
  const line = (values, kind) => drawn('path', { class: kind, d: `M${along(values).join('L')}` });
  const band = [...along(usual.low[lead]), ...along(usual.high[lead]).reverse()].join('L');
  const started = { start: beat.start - peak, values: shown };
  return drawn('svg', {
    class: 'ecg overlay', role: 'img', 'aria-label': label,
    viewBox: `0 0 ${width} ${height}`, width: `${width}mm`, height: `${height}mm`,
  },
  paperGrid(width, height, 1),
  drawn('path', { class: 'band', d: `M${band}Z` }),
  line(usual.middle[lead], 'usual'),
  drawn('path', { class: 'beat', d: tracePath(started, ecg.rate, x, y, 0.1) }),
  drawn('text', { class: 'scale', x: width - 1, y: height - 1.2, 'text-anchor': 'end', 'font-size': 2.5 },
    '50 mm/s · 20 mm/mV'));
}
