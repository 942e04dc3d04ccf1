'use strict';
// The events, each with its strip, the beat over the usual one, and why.

const AT_A_TIME = 10;
const STRIP_SECONDS = 10;
// Around the R peak, in seconds: what is shaded of an event's first and last beat.
const SHADED = { before: 0.3, after: 0.4 };

function kindOf(beats) {
  return { 1: 'single', 2: 'couplet' }[beats] ?? 'run';
}

const ORDERS = {
  score: { words: 'most anomalous first', compare: (a, b) => a.rank - b.rank },
  time: { words: 'in time', compare: (a, b) => a.first - b.first },
  kind: { words: 'by kind, longest first', compare: (a, b) => b.beats - a.beats || a.rank - b.rank },
};

class Events {
  // beats(from, to): those of a stretch. show(seconds): go there in the ECG; null where it is not.
  constructor(section, recording, ecg, beats, times, show) {
    Object.assign(this, { recording, ecg, beats, times, show });
    const { events, reasons } = recording;
    this.all = events.first.map((first, rank) => ({
      rank, first, last: events.last[rank], beats: events.beats[rank], peak: events.peak[rank],
      centre: events.centre[rank], score: events.score[rank], kind: kindOf(events.beats[rank]),
      reason: reasons[events.reason[rank]],
    }));
    this.order = 'score';
    this.kinds = new Set(['single', 'couplet', 'run']);
    this.range = null;
    // Of those chosen, the first that is shown, how many are, and the one that one is at.
    [this.begin, this.shown, this.current] = [0, 0, null];
    this.list = element('ol', { class: 'events' });
    this.count = element('p', { class: 'note', role: 'status' });
    this.earlier = element('button', { type: 'button', onclick: () => this.fill(Math.max(0, this.begin - AT_A_TIME)) },
      'Show those before');
    this.more = element('button', { type: 'button', onclick: () => this.grow(true) });
    this.list.addEventListener('focusin', (event) => {
      this.current = Number(event.target.closest('li').dataset.rank);
    });
    section.append(element('h2', { id: 'events-title' }, 'Events'),
      element('p', {}, 'Anomalous beats in a row are one event.'), ...this.cut());
    if (this.all.length) section.append(this.controls(), this.count, this.earlier, this.list, this.more);
    document.addEventListener('keydown', (event) => this.key(event));
    this.fill();
  }

  // What was left out, so that the page stays small.
  cut() {
    const { events, continuous } = this.recording;
    const words = [];
    if (this.all.length < events.all) {
      words.push(`The ${counted(this.all.length, 'most anomalous event')} of ${events.all.toLocaleString('en')} are listed here; the table of events beside this file holds all.`);
    }
    const drawable = this.all.filter((event) => this.strip(event)).length;
    if (!continuous && drawable < this.all.length) {
      words.push(`${drawable.toLocaleString('en')} of ${counted(this.all.length, 'event')} have a strip, the most anomalous among them; with more the page would be too large.`);
    }
    if (!events.all) words.push('No beat was found to be anomalous.');
    return words.map((text) => element('p', { class: 'note cut' }, text));
  }

  // Where the strip of an event lies, in seconds; undefined where its ECG is not on the page.
  strip(event) {
    const { first, seconds } = this.recording;
    const start = atMost(event.centre - STRIP_SECONDS / 2, first, Math.max(first, first + seconds - STRIP_SECONDS));
    const strip = [start, Math.min(start + STRIP_SECONDS, first + seconds)];
    return this.ecg.piece(...strip) && strip;
  }

  controls() {
    const order = element('select', { id: 'order', onchange: () => { this.order = order.value; this.fill(); } },
      ...Object.entries(ORDERS).map(([value, { words }]) => element('option', { value }, words)));
    const kinds = ['single', 'couplet', 'run'].map((kind) => {
      const n = this.all.filter((event) => event.kind === kind).length;
      const button = element('button', {
        type: 'button', 'aria-pressed': 'true', 'data-kind': kind, disabled: n === 0,
        onclick: () => {
          if (!this.kinds.delete(kind)) this.kinds.add(kind);
          button.setAttribute('aria-pressed', String(this.kinds.has(kind)));
          this.fill();
        },
      }, { single: counted(n, 'single'), couplet: counted(n, 'couplet'), run: counted(n, 'run') }[kind]);
      return button;
    });
    this.select = order;
    this.everywhere = element('button', { type: 'button', hidden: true, onclick: () => this.leaveRange() },
      'Whole recording');
    return element('div', { class: 'controls', role: 'group', 'aria-label': 'Which events, in which order' },
      element('label', { for: 'order' }, 'Order', order), ...kinds, this.everywhere,
      element('span', { class: 'note' }, 'Next and previous event: ',
        element('kbd', {}, 'n'), ' ', element('kbd', {}, 'p')));
  }

  // Look at the events of a range of time alone; null: at all.
  within(range) {
    this.range = range;
    if (this.everywhere) this.everywhere.hidden = range === null;
    this.fill();
  }

  leaveRange() {
    this.within(null);
    this.onleave?.();
    this.select.focus();
  }

  // Choose the events, and show some from the given one on.
  fill(begin = 0) {
    if (!this.all.length) return;
    const [from, to] = this.range ?? [-Infinity, Infinity];
    this.chosen = this.all
      .filter((event) => this.kinds.has(event.kind) && event.last >= from && event.first <= to)
      .sort(ORDERS[this.order].compare);
    this.begin = begin;
    this.shown = 0;
    this.list.replaceChildren();
    this.grow();
  }

  say() {
    const where = this.range ? ` from ${this.times(this.range[0])} to ${this.times(this.range[1])}` : '';
    const end = this.begin + this.shown;
    const which = this.begin ? `${(this.begin + 1).toLocaleString('en')} to ${end.toLocaleString('en')}` : end.toLocaleString('en');
    this.count.textContent = `${which} of ${counted(this.chosen.length, 'event')}${where}, ${ORDERS[this.order].words}.`;
    const left = this.chosen.length - end;
    this.earlier.hidden = this.begin === 0;
    this.more.hidden = left === 0;
    this.more.textContent = `Show ${Math.min(left, AT_A_TIME)} more`;
  }

  grow(look = false) {
    const at = this.begin + this.shown;
    const next = this.chosen.slice(at, at + AT_A_TIME);
    this.list.append(...next.map((event) => this.card(event)));
    this.shown += next.length;
    this.say();
    if (look && next.length) this.focus(next[0].rank);
  }

  card(event) {
    const { threshold } = this.recording;
    const name = { single: 'Single beat', couplet: 'Couplet', run: `Run of ${event.beats}` }[event.kind];
    const lasting = event.beats > 1 ? ` to ${this.times(event.last, 1)}` : '';
    const strip = this.strip(event);
    const head = element('h3', { id: `event-${event.rank}` },
      `${event.rank + 1}. ${name} at ${this.times(event.first, 1)}${lasting}`);
    const why = element('p', { class: 'why' },
      element('strong', {}, `score ${number(event.score)}`),
      `, ${number(event.score / threshold, 2)} times the threshold. ${reasonWords(event.reason)}`);
    const item = element('li', { tabindex: -1, 'aria-labelledby': head.id, 'data-rank': event.rank }, head, why);
    if (!strip) {
      item.append(element('p', { class: 'note' }, 'Without a strip, so that the page stays small.'));
      return item;
    }
    const [from, to] = strip;
    const beats = this.beats(from, to);
    const shaded = [event.first - SHADED.before, event.last + SHADED.after];
    const anomalous = beats.filter((beat) => beat.verdict === 1).length;
    const label = `ECG from ${this.times(from, 1)} to ${this.times(to, 1)}: ${counted(beats.length, 'beat')}, ${anomalous} anomalous. The beats follow as a table.`;
    const figures = element('div', { class: 'pictures' },
      element('div', { class: 'scroll strip', tabindex: 0, role: 'group', 'aria-label': 'Strip of ECG' },
        paperStrip(this.ecg, from, to, beats, threshold, shaded, label, (at) => this.times(at))));
    figures.append(...this.overlay(event));
    const buttons = element('p', { class: 'screen' });
    if (this.show) {
      buttons.append(element('button', { type: 'button', onclick: () => this.show(event.centre) }, 'Show in the ECG'));
    }
    item.append(figures, laterDetails('Beats of this strip', () => beatTable(beats, this.recording.reasons, this.times)), buttons);
    requestAnimationFrame(() => this.centre(figures.firstChild, from, event));
    return item;
  }

  overlay(event) {
    const { usual } = this.recording;
    if (!usual) return [];
    const words = `Beat at ${this.times(event.peak, 1)} over the usual beat of lead ${this.ecg.leads[0]}`;
    return [element('figure', { class: 'over' },
      beatOverlay(this.ecg, 0, event.peak, usual, words),
      element('figcaption', {}, element('span', { class: 'key beat' }, 'this beat'), ' ',
        element('span', { class: 'key usual' }, `usual: middle of ${counted(usual.beats, 'normal beat')}, and 90% of them`)))];
  }

  // On a narrow screen the strip begins where the event is.
  centre(box, from, event) {
    box.scrollLeft = (event.centre - from) * SPEED * MM - box.clientWidth / 2;
  }

  // Go to an event, and look at it. One that is far from those shown is shown without those between.
  focus(rank) {
    const index = this.chosen.findIndex((event) => event.rank === rank);
    if (index < 0) return;
    if (index < this.begin || index > this.begin + this.shown + AT_A_TIME) this.fill(index);
    while (index >= this.begin + this.shown) this.grow();
    const item = this.list.children[index - this.begin];
    item.focus({ preventScroll: true });
    item.scrollIntoView({ block: 'start', behavior: 'instant' });
  }

  // Go to the event that is nearest in time, and those after it.
  nearest(seconds) {
    if (!this.chosen?.length) return;
    this.order = this.select.value = 'time';
    this.fill();
    const away = (event) => Math.max(event.first - seconds, seconds - event.last, 0);
    const near = this.chosen.reduce((best, event) => (away(best) <= away(event) ? best : event));
    this.focus(near.rank);
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || !this.chosen?.length) return;
    if (event.key !== 'n' && event.key !== 'p') return;
    const here = this.chosen.findIndex(({ rank }) => rank === this.current);
    const next = here < 0 ? 0 : here + (event.key === 'n' ? 1 : -1);
    if (next >= 0 && next < this.chosen.length) this.focus(this.chosen[next].rank);
    event.preventDefault();
  }
}

// Why, as a sentence: how early or late, and which part of the beat, where that is said.
function reasonWords(reason) {
  if (!reason) return '';
  const words = reason.split('; ');
  const part = words.at(-1).endsWith('QRS') ? words.pop() : null;
  const where = part === 'QRS' ? 'in the QRS complex' : part?.replace('QRS', 'the QRS complex');
  const timing = words.length ? [words.join(', ')] : [];
  const shape = part ? [`differs most from what was expected ${where}`] : [];
  const sentence = `${[...timing, ...shape].join('; ')}.`;
  return sentence[0].toUpperCase() + sentence.slice(1);
}

function beatTable(beats, reasons, times) {
  return tableOf('Beats of this strip', ['time', 'RR (s)', 'score', 'verdict', 'why'],
    beats.map((beat) => [times(beat.at, 2), number(beat.rr), number(beat.score),
      VERDICTS[beat.verdict], reasons[beat.reason]]));
}
