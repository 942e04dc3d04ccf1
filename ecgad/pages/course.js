'use strict';
// The whole recording at a glance, over time; to click or drag is to go there.

const ROW = 74; // px
const GAP = 26;
const LEFT = 46;
const FOOT = 22;

class Course {
  // recording: the page's data. go(seconds): a moment is chosen. choose([from, to]): a range is.
  constructor(section, recording, times, go, choose) {
    Object.assign(this, { recording, times, go, choose });
    this.cursor = recording.first;
    this.range = null;
    const title = element('h2', { id: 'course-title' }, 'Course of the recording');
    const help = element('p', { class: 'note screen' },
      'Click to go to a moment, drag to see the events of a range alone. By keyboard: arrow keys, then Enter.');
    this.box = element('div', {
      class: 'course', tabindex: 0, role: 'slider', 'aria-label': 'Moment of the recording',
      'aria-valuemin': 0, 'aria-valuemax': Math.round(recording.seconds),
    });
    section.append(title, help, this.box,
      laterDetails('The same as a table', () => this.table()));
    this.listen();
    new ResizeObserver(() => this.draw()).observe(this.box);
    this.draw();
  }

  get end() {
    return this.recording.first + this.recording.seconds;
  }

  x(seconds) {
    const share = (seconds - this.recording.first) / this.recording.seconds;
    return LEFT + share * (this.width - LEFT);
  }

  seconds(x) {
    const share = (x - LEFT) / (this.width - LEFT);
    return this.recording.first + atMost(share, 0, 1) * this.recording.seconds;
  }

  draw() {
    const width = Math.max(280, Math.floor(this.box.clientWidth));
    if (width === this.width) return;
    this.width = width;
    const { course, threshold } = this.recording;
    const height = 3 * (ROW + GAP) + FOOT;
    const svg = drawn('svg', {
      width, height, viewBox: `0 0 ${width} ${height}`, role: 'img',
      'aria-label': 'Heart rate, score and anomalous beats a minute over the recording; the table below holds the same.',
    });
    svg.append(this.hatching(), this.unreadable(height));
    this.row(svg, 0, 'heart rate (beats a minute)',
      plainAxis([...course.heart_rate, ...course.lowest, ...course.highest]), (y) => [
        drawn('path', { class: 'band', d: this.band(course.lowest, course.highest, y) }),
        drawn('path', { class: 'line', d: this.steps(course.heart_rate, y) })]);
    this.row(svg, 1, 'score (logarithmic); dashed: threshold',
      logarithmicAxis([...course.highest_score, ...course.score, threshold]), (y) => [
        drawn('path', { class: 'line top', d: this.steps(course.highest_score, y) }),
        drawn('path', { class: 'line', d: this.steps(course.score, y) }),
        drawn('path', { class: 'threshold', d: `M${LEFT} ${y(threshold)}H${width}` })]);
    this.row(svg, 2, 'anomalous beats a minute', plainAxis([...course.anomalous, 0, 1]),
      (y) => [drawn('path', { class: 'bars', d: this.bars(course.anomalous, y) })]);
    svg.append(this.axis(height));
    this.selection = drawn('rect', { class: 'selection', y: 0, height: height - FOOT, width: 0 });
    this.line = drawn('path', { class: 'cursor' });
    svg.append(this.selection, this.line);
    this.box.replaceChildren(svg);
    this.height = height;
    this.mark();
  }

  // A row of the drawing. draw(y): its paths, with y from values to pixels.
  row(svg, index, title, axis, draw) {
    const top = index * (ROW + GAP) + 18;
    const y = (value) => top + ROW - atMost(axis.share(value), 0, 1) * ROW;
    for (const tick of axis.ticks) {
      svg.append(drawn('path', { class: 'tick', d: `M${LEFT} ${y(tick)}H${this.width}` }),
        drawn('text', { x: LEFT - 6, y: y(tick) + 4, 'text-anchor': 'end', 'font-size': 11 },
          number(tick)));
    }
    svg.append(drawn('text', { class: 'title', x: LEFT + 5, y: top - 6, 'font-size': 12 }, title));
    svg.append(drawn('g', { class: `row row-${index}` }, ...draw(y)));
  }

  bounds(index) {
    const { first, course } = this.recording;
    const from = first + index * course.step;
    return [this.x(from), this.x(Math.min(from + course.step, this.end))];
  }

  steps(values, y) {
    let [path, up] = ['', true];
    values.forEach((value, index) => {
      if (value === null) {
        up = true;
        return;
      }
      const [from, to] = this.bounds(index).map((at) => at.toFixed(1));
      path += `${up ? 'M' : 'L'}${from} ${y(value).toFixed(1)}H${to}`;
      up = false;
    });
    return path;
  }

  band(lows, highs, y) {
    return lows.map((low, index) => {
      if (low === null) return '';
      const [from, to] = this.bounds(index).map((at) => at.toFixed(1));
      return `M${from} ${y(low).toFixed(1)}H${to}V${y(highs[index]).toFixed(1)}H${from}Z`;
    }).join('');
  }

  bars(values, y) {
    return values.map((value, index) => {
      if (!value) return '';
      const [from, to] = this.bounds(index);
      const gap = Math.min(1, (to - from) / 5);
      return `M${from.toFixed(1)} ${y(0).toFixed(1)}V${y(value).toFixed(1)}H${(to - gap).toFixed(1)}V${y(0).toFixed(1)}Z`;
    }).join('');
  }

  hatching() {
    return drawn('defs', {},
      drawn('pattern', { id: 'hatch', width: 6, height: 6, patternUnits: 'userSpaceOnUse', patternTransform: 'rotate(45)' },
        drawn('path', { class: 'hatch', d: 'M0 0V6' })));
  }

  unreadable(height) {
    return drawn('g', { class: 'unreadable' }, ...this.recording.unreadable.map(([from, to]) =>
      drawn('rect', {
        x: this.x(from), width: Math.max(1, this.x(to) - this.x(from)), y: 0, height: height - FOOT,
        fill: 'url(#hatch)',
      }, drawn('title', {}, `unreadable from ${this.times(from)} to ${this.times(to)}`))));
  }

  axis(height) {
    const group = drawn('g', { class: 'axis' });
    const perSecond = (this.width - LEFT) / this.recording.seconds;
    const needed = this.times(this.end).length * 6.5 + 24; // px, of a label
    const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200,
      86400, 2 * 86400, 7 * 86400];
    const step = steps.find((value) => value * perSecond >= needed) ?? 28 * 86400;
    for (let at = Math.ceil(this.recording.first / step) * step; at <= this.end; at += step) {
      const left = this.x(at);
      group.append(drawn('path', { class: 'tick', d: `M${left} 0V${height - FOOT + 4}` }));
      const anchor = left > this.width - needed / 2 ? 'end' : left < LEFT + needed / 2 ? 'start' : 'middle';
      // Beside the first and last ones, which are moved inwards, there may be no room.
      if (anchor !== 'middle' && at !== Math.ceil(this.recording.first / step) * step && at + step <= this.end) continue;
      group.append(drawn('text', { x: left, y: height - 5, 'text-anchor': anchor, 'font-size': 11 },
        this.times(at)));
    }
    return group;
  }

  // Where one is: the cursor, and the range of events that is looked at.
  mark() {
    if (!this.line) return;
    this.line.setAttribute('d', `M${this.x(this.cursor)} 0V${this.height - FOOT}`);
    const [from, to] = this.range ?? [this.recording.first, this.recording.first];
    this.selection.setAttribute('x', this.x(from));
    this.selection.setAttribute('width', this.x(to) - this.x(from));
    this.box.setAttribute('aria-valuenow', Math.round(this.cursor - this.recording.first));
    this.box.setAttribute('aria-valuetext', this.times(this.cursor));
  }

  moveTo(seconds) {
    this.cursor = atMost(seconds, this.recording.first, this.end);
    this.mark();
  }

  select(range) {
    this.range = range;
    this.mark();
  }

  listen() {
    const at = (event) => this.seconds(event.clientX - this.box.getBoundingClientRect().left);
    let begun = null;
    // Back to the range that was there before.
    const leave = () => {
      if (begun) this.select(begun.range);
      begun = null;
    };
    this.box.addEventListener('pointerdown', (event) => {
      if (event.button) return;
      begun = { x: event.clientX, seconds: at(event), range: this.range };
      this.box.setPointerCapture(event.pointerId);
    });
    this.box.addEventListener('pointermove', (event) => {
      if (begun && Math.abs(event.clientX - begun.x) > 4) {
        this.select([begun.seconds, at(event)].sort((a, b) => a - b));
      }
    });
    this.box.addEventListener('pointerup', (event) => {
      if (!begun) return;
      if (Math.abs(event.clientX - begun.x) > 4) {
        begun = null;
        this.choose(this.range);
        return;
      }
      leave();
      this.moveTo(at(event));
      this.go(this.cursor);
    });
    this.box.addEventListener('pointercancel', leave);
    this.box.addEventListener('keydown', (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const { step } = this.recording.course;
      const moves = { ArrowLeft: -step, ArrowRight: step, PageDown: 10 * step, PageUp: -10 * step };
      if (event.key in moves) this.moveTo(this.cursor + moves[event.key]);
      else if (event.key === 'Home') this.moveTo(this.recording.first);
      else if (event.key === 'End') this.moveTo(this.end);
      else if (event.key === 'Enter') this.go(this.cursor);
      else if (event.key === 'Escape') this.choose(null);
      else return;
      event.preventDefault();
    });
  }

  table() {
    const { course, first } = this.recording;
    const rows = course.judged.map((judged, index) => [
      this.times(first + index * course.step),
      number(course.heart_rate[index]), number(course.score[index]),
      number(course.highest_score[index]), number(course.anomalous[index]), String(judged),
    ]);
    const lost = this.recording.unreadable.map(([from, to]) => [this.times(from), this.times(to)]);
    return element('div', {},
      lost.length ? tableOf('Unreadable stretches', ['from', 'to'], lost) : null,
      tableOf(course.step < 60 ? `Each ${course.step} seconds` : course.step === 60 ? 'Each minute' : `Each ${course.step / 60} minutes`,
        ['from', 'heart rate', 'median score', 'highest score', 'anomalous a minute', 'judged beats'], rows));
  }
}

// An axis: its ticks, and the share of its height at which a value lies.
function plainAxis(values) {
  const known = values.filter((value) => value !== null);
  let [low, high] = known.length ? [Math.min(...known), Math.max(...known)] : [0, 1];
  if (high - low < 1e-9) [low, high] = [low - 1, high + 1];
  const size = (high - low) / 2.5;
  const power = 10 ** Math.floor(Math.log10(size));
  const step = [1, 2, 5, 10].find((factor) => factor * power >= size) * power;
  [low, high] = [Math.floor(low / step) * step, Math.ceil(high / step) * step];
  const ticks = Array.from({ length: Math.round((high - low) / step) + 1 }, (_, i) => low + i * step);
  return { ticks, share: (value) => (value - low) / (high - low) };
}

function logarithmicAxis(values) {
  const known = values.filter((value) => value > 0);
  const [low, high] = [Math.log10(Math.min(...known) * 0.9), Math.log10(Math.max(...known) * 1.1)];
  const powers = Array.from({ length: Math.ceil(high) - Math.floor(low) + 1 }, (_, i) => 10 ** (Math.floor(low) + i));
  const within = (factors) => powers.flatMap((power) => factors.map((factor) => factor * power))
    .filter((tick) => Math.log10(tick) >= low && Math.log10(tick) <= high);
  // The fewest that are two at least.
  const choices = [[1], [1, 3], [1, 2, 5], [1, 1.5, 2, 2.5, 3, 4, 5, 6, 8]].map(within);
  const ticks = choices.find((some) => some.length > 1) ?? [known[known.length - 1]];
  return { ticks, share: (value) => (value > 0 ? (Math.log10(value) - low) / (high - low) : 0) };
}
