'use strict';
// The ECG from beginning to end, to scroll and zoom.

const SPANS = [2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600];
const FINE = 12; // mm a second: slower than that, the paper has no fine lines
const ROOM = 20; // px from beat to beat, for a score below each mark

class Viewer {
  constructor(section, recording, ecg, beats, times) {
    Object.assign(this, { recording, ecg, beats, times });
    this.ranges = ecg.leads.map((_, lead) => this.wholeRange(lead));
    this.gain = 1;
    this.box = element('div', { class: 'viewer', tabindex: 0, role: 'group', 'aria-label': 'ECG; arrow keys scroll, plus and minus zoom' });
    this.where = element('p', { class: 'note', role: 'status' });
    this.slider = element('input', {
      type: 'range', 'aria-label': 'Moment of the ECG', min: 0, step: 'any', value: 0,
      oninput: () => this.moveTo(Number(this.slider.value)),
    });
    section.append(element('h2', { id: 'ecg-title' }, 'ECG'), this.controls(), this.box, this.slider, this.where);
    this.listen();
    this.start = recording.first;
    new ResizeObserver(() => this.resize()).observe(this.box);
    this.resize();
  }

  get end() {
    return this.recording.first + this.recording.seconds;
  }

  // One range for a lead all along, so that it does not jump; wandering of the baseline aside.
  wholeRange(lead) {
    const { values } = this.ecg.stretch(lead, this.recording.first, this.recording.first + this.recording.seconds);
    const sorted = Float32Array.from(values).filter((value) => !Number.isNaN(value)).sort();
    if (!sorted.length) return { above: LEAST.above, below: LEAST.below };
    const at = (share) => sorted[Math.floor(share * (sorted.length - 1))];
    const middle = at(0.5);
    const size = (value, least, most) => Math.ceil(atMost(value * 1.1, least, most) * 2) / 2;
    return {
      above: size(at(0.999) - middle, LEAST.above, MOST.above),
      below: size(middle - at(0.001), LEAST.below, MOST.below),
    };
  }

  controls() {
    const button = (words, name, act) => element('button', { type: 'button', 'aria-label': name, onclick: act }, words);
    return element('div', { class: 'controls', role: 'group', 'aria-label': 'How the ECG is drawn' },
      button('−', 'Zoom out', () => this.zoom(1)), button('+', 'Zoom in', () => this.zoom(-1)),
      button('25 mm/s', 'Paper speed of 25 mm a second', () => this.paper()),
      button('height ½', 'Half the height', () => this.scale(0.5)), button('height ×2', 'Twice the height', () => this.scale(2)),
      button('◀', 'Back', () => this.scroll(-0.8)), button('▶', 'On', () => this.scroll(0.8)));
  }

  resize() {
    const width = Math.max(240, Math.floor(this.box.clientWidth));
    if (width === this.width) return;
    this.width = width;
    if (this.span === undefined) this.span = Math.min(width / MM / SPEED, this.recording.seconds);
    this.draw();
  }

  // Begin at a moment, in seconds.
  moveTo(seconds) {
    this.start = atMost(seconds, this.recording.first, Math.max(this.recording.first, this.end - this.span));
    this.draw();
  }

  centreOn(seconds) {
    this.moveTo(seconds - this.span / 2);
  }

  scroll(share) {
    this.moveTo(this.start + share * this.span);
  }

  zoomTo(span, at = this.start + this.span / 2) {
    const share = (at - this.start) / this.span;
    this.span = atMost(span, Math.min(1, this.recording.seconds), this.recording.seconds);
    this.moveTo(at - share * this.span);
  }

  zoom(direction, at) {
    const longer = SPANS.filter((span) => span > this.span * 1.01);
    const shorter = SPANS.filter((span) => span < this.span * 0.99);
    const next = direction > 0 ? longer[0] ?? this.recording.seconds : shorter.at(-1) ?? SPANS[0];
    this.zoomTo(next, at);
  }

  paper() {
    this.zoomTo(this.width / MM / SPEED);
  }

  scale(factor) {
    this.gain = atMost(this.gain * factor, 0.25, 4);
    this.draw();
  }

  draw() {
    const [from, to] = [this.start, this.start + this.span];
    const perSecond = this.width / this.span;
    const speed = perSecond / MM;
    const x = (seconds) => (seconds - from) * perSecond;
    const perMillivolt = GAIN * MM * this.gain;
    const beats = this.beats(from, to);
    const heights = this.ranges.map(({ above, below }) => (above + below) * GAIN * MM);
    const top = MARKS_MM * MM;
    const height = Math.round(top + heights.reduce((a, b) => a + b, 0) + SCALE_MM * MM);
    const anomalous = beats.filter((beat) => beat.verdict === 1).length;
    const label = `ECG from ${this.times(from, 1)} to ${this.times(to, 1)}: ${counted(beats.length, 'beat')}, ${anomalous} anomalous`;
    const svg = drawn('svg', { class: 'ecg', role: 'img', 'aria-label': label, width: this.width, height, viewBox: `0 0 ${this.width} ${height}` });
    svg.append(this.grid(height, perSecond, speed >= FINE));
    let above = top;
    this.ranges.forEach((range, lead) => {
      const stretch = this.ecg.stretch(lead, from, to);
      const middle = medianOf(stretch.values);
      const zero = above + range.above * GAIN * MM;
      const d = tracePath(stretch, this.ecg.rate, x, (mV) => zero - (mV - middle) * perMillivolt, 1);
      svg.append(drawn('path', { class: 'trace', d, 'data-lead': this.ecg.leads[lead] }),
        drawn('text', { class: 'lead', x: 5, y: above + 13, 'font-size': 13 }, this.ecg.leads[lead]));
      above += heights[lead];
    });
    const room = beats.length < 2 || this.width / beats.length >= ROOM;
    svg.append(beatMarks(beats, this.recording.threshold, x, MM, room),
      timeScale(from, to, x, height, MM, this.times, this.timeStep(perSecond)));
    svg.append(drawn('text', { class: 'scale', x: this.width - 5, y: height - 5, 'text-anchor': 'end', 'font-size': 11 },
      `${number(speed, 3)} mm/s · ${number(GAIN * this.gain, 3)} mm/mV`));
    this.box.replaceChildren(svg);
    this.slider.min = this.recording.first;
    this.slider.max = Math.max(this.recording.first, this.end - this.span);
    this.slider.value = from;
    this.slider.setAttribute('aria-valuetext', this.times(from));
    this.where.textContent = label;
    this.onmove?.(from, to);
  }

  // Strong lines each 0.2 s and 0.5 mV, fine ones each 0.04 s and 0.1 mV; they move with the ECG.
  grid(height, perSecond, fine) {
    const group = drawn('g', { class: 'grid', 'aria-hidden': 'true' },
      drawn('rect', { class: 'paper', width: this.width, height }));
    const lines = (seconds, mm, kind) => {
      let path = '';
      for (let i = Math.ceil(this.start / seconds); i * seconds < this.start + this.span; i++) {
        path += `M${((i * seconds - this.start) * perSecond).toFixed(2)} 0V${height}`;
      }
      for (let at = 0; at <= height; at += mm * MM * this.gain) path += `M0 ${at.toFixed(2)}H${this.width}`;
      group.append(drawn('path', { class: kind, d: path }));
    };
    if (fine) lines(0.04, 1, 'minor');
    const seconds = [0.2, 1, 5, 10, 60, 300, 600].find((step) => step * perSecond >= 12) ?? 600;
    lines(seconds, 5, 'major');
    return group;
  }

  timeStep(perSecond) {
    return [1, 2, 5, 10, 30, 60, 120, 300, 600].find((step) => step * perSecond >= 75) ?? 600;
  }

  listen() {
    const at = (event) => this.start + ((event.clientX - this.box.getBoundingClientRect().left) / this.width) * this.span;
    this.box.addEventListener('wheel', (event) => {
      if (event.ctrlKey) this.zoomTo(this.span * Math.exp(event.deltaY / 300), at(event));
      else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
        this.moveTo(this.start + ((event.deltaX || event.deltaY) / this.width) * this.span);
      } else return;
      event.preventDefault();
    }, { passive: false });
    let held = null;
    this.box.addEventListener('pointerdown', (event) => {
      if (event.button) return;
      held = { x: event.clientX, start: this.start };
      this.box.setPointerCapture(event.pointerId);
    });
    this.box.addEventListener('pointermove', (event) => {
      if (held) this.moveTo(held.start - ((event.clientX - held.x) / this.width) * this.span);
    });
    const leave = () => { held = null; };
    this.box.addEventListener('pointerup', leave);
    this.box.addEventListener('pointercancel', leave);
    this.box.addEventListener('keydown', (event) => {
      const acts = {
        ArrowLeft: () => this.scroll(-0.2), ArrowRight: () => this.scroll(0.2),
        PageUp: () => this.scroll(-1), PageDown: () => this.scroll(1),
        Home: () => this.moveTo(this.recording.first), End: () => this.moveTo(this.end),
        '+': () => this.zoom(-1), '-': () => this.zoom(1),
      };
      if (!(event.key in acts) || event.ctrlKey || event.metaKey || event.altKey) return;
      acts[event.key]();
      event.preventDefault();
    });
  }
}
