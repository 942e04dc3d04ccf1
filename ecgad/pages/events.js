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
    this.shown = AT_A_TIME;
    this.list = element('ol', { class: 'events' });
    this.count = element('p', { class: 'note', role: 'status' });
    this.more = element('button', { type: 'button', onclick: () => this.grow() });
    section.append(element('h2', { id: 'events-title' }, 'Events'),
      element('p', {}, 'Anomalous beats in a row are one event.'), ...this.cut());
    if (this.all.length) section.append(this.controls(), this.count, this.list, this.more);
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

  strip(event) {
    const half = STRIP_SECONDS / 2;
    return this.ecg.piece(event.peak - 0.3, event.peak + 0.3) && [event.centre - half, event.centre + half];
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
  }

  fill() {
    if (!this.all.length) return;
    const [from, to] = this.range ?? [-Infinity, Infinity];
    this.chosen = this.all
      .filter((event) => this.kinds.has(event.kind) && event.last >= from && event.first <= to)
      .sort(ORDERS[this.order].compare);
    this.shown = Math.min(AT_A_TIME, this.chosen.length);
    this.list.replaceChildren(...this.chosen.slice(0, this.shown).map((event) => this.card(event)));
    this.say();
  }

  say() {
    const where = this.range ? ` from ${this.times(this.range[0])} to ${this.times(this.range[1])}` : '';
    this.count.textContent = `${this.shown} of ${counted(this.chosen.length, 'event')}${where}, ${ORDERS[this.order].words}.`;
    const left = this.chosen.length - this.shown;
    this.more.hidden = left === 0;
    this.more.textContent = `Show ${Math.min(left, AT_A_TIME)} more`;
  }

  grow() {
    const next = this.chosen.slice(this.shown, this.shown + AT_A_TIME);
    this.list.append(...next.map((event) => this.card(event)));
    this.shown += next.length;
    this.say();
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
    const [from, to] = this.inside(strip);
    const beats = this.beats(from, to);
    const shaded = [event.first - SHADED.before, event.last + SHADED.after];
    const anomalous = beats.filter((beat) => beat.verdict === 1).length;
    const label = `ECG from ${this.times(from, 1)} to ${this.times(to, 1)}: ${counted(beats.length, 'beat')}, ${anomalous} anomalous. The beats follow as a table.`;
    const figures = element('div', { class: 'pictures' },
      element('div', { class: 'scroll strip', tabindex: 0, role: 'group', 'aria-label': 'Strip of ECG' },
        paperStrip(this.ecg, from, to, beats, shaded, label, (at) => this.times(at))));
    figures.append(...this.overlay(event));
    const buttons = element('p', { class: 'screen' });
    if (this.show) {
      buttons.append(element('button', { type: 'button', onclick: () => this.show(event.centre) }, 'Show in the ECG'));
    }
    item.append(figures, laterDetails('Beats of this strip', () => beatTable(beats, this.recording.reasons, this.times)), buttons);
    requestAnimationFrame(() => this.centre(figures.firstChild, from, event));
    return item;
  }

  // A strip at the ends of what was looked at is moved inside.
  inside([from, to]) {
    const { first, seconds } = this.recording;
    const start = atMost(from, first, Math.max(first, first + seconds - (to - from)));
    return [start, Math.min(start + to - from, first + seconds)];
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
    const at = (event.first + event.last) / 2 - from;
    box.scrollLeft = at * SPEED * MM - box.clientWidth / 2;
  }

  // Go to an event, and look at it.
  focus(rank) {
    let index = this.chosen.findIndex((event) => event.rank === rank);
    if (index < 0) return;
    while (index >= this.shown) this.grow();
    const item = this.list.children[index];
    item.focus({ preventScroll: true });
    item.scrollIntoView({ block: 'start', behavior: 'instant' });
  }

  // The event that is nearest in time.
  nearest(seconds) {
    const away = (event) => Math.max(event.first - seconds, seconds - event.last, 0);
    const near = this.chosen?.reduce((best, event) => (best && away(best) <= away(event) ? best : event), null);
    if (near) this.focus(near.rank);
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || !this.chosen?.length) return;
    if (event.target.closest?.('input, select, textarea')) return;
    if (event.key !== 'n' && event.key !== 'p') return;
    const here = document.activeElement?.closest?.('.events > li');
    const index = here ? [...this.list.children].indexOf(here) : -1;
    const next = here ? index + (event.key === 'n' ? 1 : -1) : 0;
    if (next >= 0 && next < this.chosen.length) this.focus(this.chosen[next].rank);
    event.preventDefault();
  }
}

// Why, as a sentence: how early or late, and which part of the beat.
function reasonWords(reason) {
  if (!reason) return '';
  const words = reason.split('; ');
  const part = words.pop();
  const timing = words.length ? `${words.join(', ')}; ` : '';
  const sentence = `${timing}differs most from what was expected ${part === 'QRS' ? 'in the QRS complex' : part.replace('QRS', 'the QRS complex')}.`;
  return sentence[0].toUpperCase() + sentence.slice(1);
}

function beatTable(beats, reasons, times) {
  return tableOf('Beats of this strip', ['time', 'RR (s)', 'score', 'verdict', 'why'],
    beats.map((beat) => [times(beat.at, 2), number(beat.rr), number(beat.score),
      VERDICTS[beat.verdict], reasons[beat.reason]]));
}
