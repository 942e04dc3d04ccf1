'use strict';
// The recordings of a folder as a table to sort and to search, with a link to the page of each.

const AT_ONCE = 200;
const COLUMNS = [
  { name: 'recording', title: 'recording', text: true },
  { name: 'share_anomalous', title: 'anomalous', words: percent, bar: true },
  { name: 'share_readable', title: 'readable', words: percent },
  { name: 'seconds', title: 'length', words: (value) => duration(value), wide: true },
  { name: 'beats', title: 'beats', words: whole, wide: true },
  { name: 'events_per_hour', title: 'events an hour', words: (value) => value.toFixed(1), wide: true },
  { name: 'heart_rate_lowest', title: 'lowest rate', words: rounded, wide: true },
  { name: 'heart_rate_median', title: 'median rate', words: rounded, wide: true },
  { name: 'heart_rate_highest', title: 'highest rate', words: rounded, wide: true },
  { name: 'lead', title: 'lead', text: true, wide: true },
];
const OF_FAILURES = [
  { name: 'recording', title: 'recording', text: true },
  { name: 'error', title: 'why it failed', text: true, long: true },
];
// What people come for: an order, and which recordings.
const VIEWS = {
  anomalous: { title: 'Most anomalous first', sort: 'share_anomalous', down: true },
  readable: { title: 'Least readable first', sort: 'share_readable', down: false },
  failed: { title: 'Failures', sort: 'recording', down: false },
};

function percent(value) {
  return `${(100 * value).toFixed(1)}%`;
}

function whole(value) {
  return value.toLocaleString('en');
}

function rounded(value) {
  return String(Math.round(value));
}

const { columns, rows } = pageData();
const place = Object.fromEntries(columns.map((name, index) => [name, index]));
const failed = (row) => row[place.state] === 'failed';
// What is searched in, made once.
const searched = rows.map((row) =>
  ['recording', 'lead', 'error'].map((name) => row[place[name]] ?? '').join(' ').toLowerCase());
const state = { view: 'anomalous', ...VIEWS.anomalous, find: '', limit: AT_ONCE };

// The order and the search are in the address, so that they are there when one comes back.
function readAddress() {
  const known = new URLSearchParams(location.hash.slice(1));
  const view = known.get('view');
  if (Object.hasOwn(VIEWS, view)) Object.assign(state, VIEWS[view], { view });
  const listed = state.view === 'failed' ? OF_FAILURES : COLUMNS;
  if (listed.some((column) => column.name === known.get('sort'))) {
    state.sort = known.get('sort');
    state.down = known.get('down') === '1';
  }
  state.find = known.get('find') ?? '';
}

function writeAddress() {
  const { view, sort, down, find } = state;
  const known = new URLSearchParams({ view, sort, down: down ? '1' : '0', find });
  history.replaceState(null, '', `#${known}`);
}

// The rows to show, in their order: what has no value comes last, whichever way it is sorted.
function chosen() {
  const words = state.find.toLowerCase().split(/\s+/).filter(Boolean);
  const wanted = [];
  for (let index = 0; index < rows.length; index++) {
    if (state.view === 'failed' && !failed(rows[index])) continue;
    if (words.every((word) => searched[index].includes(word))) wanted.push(rows[index]);
  }
  const at = place[state.sort];
  const sign = state.down ? -1 : 1;
  const names = new Intl.Collator('en', { numeric: true });
  return wanted.sort((one, other) => {
    const [a, b] = [one[at], other[at]];
    if (a === null || b === null) return (a === null) - (b === null);
    const order = typeof a === 'string' ? names.compare(a, b) : a - b;
    return sign * order || names.compare(one[place.recording], other[place.recording]);
  });
}

function show() {
  const listed = state.view === 'failed' ? OF_FAILURES : COLUMNS;
  const found = chosen();
  const here = found.slice(0, state.limit);
  byId('table').replaceChildren(element('table', { 'aria-label': 'Recordings' },
    element('thead', {}, element('tr', {}, ...listed.map(heading))),
    element('tbody', {}, ...here.map((row) => line(row, listed)))));
  const of = found.length === rows.length ? '' : ` of ${counted(rows.length, 'recording')}`;
  const first = here.length < found.length ? `, the first ${here.length} of them here` : '';
  byId('shown').textContent =
    `${of ? whole(found.length) : counted(found.length, 'recording')}${of}${first}`;
  byId('more').replaceChildren(...(here.length < found.length ? [
    element('button', { type: 'button', onclick: () => grow(AT_ONCE) }, `Show ${AT_ONCE} more`),
    element('button', { type: 'button', onclick: () => grow(Infinity) },
      `Show all ${whole(found.length)}`),
  ] : []));
  for (const button of document.querySelectorAll('[data-view]')) {
    const { view } = button.dataset;
    const same = view === state.view && VIEWS[view].sort === state.sort
      && VIEWS[view].down === state.down;
    button.setAttribute('aria-pressed', String(same));
  }
}

function heading(column) {
  const sorted = column.name === state.sort;
  const order = state.down ? 'descending' : 'ascending';
  return element('th', {
    scope: 'col',
    class: [column.text && 'text', column.wide && 'wide'].filter(Boolean).join(' '),
    'aria-sort': sorted && order,
  }, element('button', { type: 'button', 'data-sort': column.name, onclick: () => sortBy(column) },
    column.title), sorted ? element('span', { 'aria-hidden': 'true' }, state.down ? ' ▼' : ' ▲') : null);
}

function line(row, listed) {
  const name = row[place.recording];
  const page = row[place.page];
  const head = element('th', { scope: 'row', class: 'text name' },
    page === null ? name : element('a', { href: page }, name));
  if (failed(row) && listed === COLUMNS) {
    return element('tr', {}, head,
      element('td', { class: 'text error', colspan: COLUMNS.length - 1 },
        `failed: ${row[place.error]}`));
  }
  return element('tr', {}, head, ...listed.slice(1).map((column) => cell(row, column)));
}

function cell(row, column) {
  const value = row[place[column.name]];
  const kinds = [column.text && 'text', column.wide && 'wide', column.long && 'error'];
  const attributes = { class: kinds.filter(Boolean).join(' ') };
  if (value === null) return element('td', attributes, '–');
  const bar = column.bar ? drawn('svg', {
    class: 'bar', viewBox: '0 0 100 10', preserveAspectRatio: 'none', 'aria-hidden': 'true',
  }, drawn('rect', { class: 'all', width: 100, height: 10 }),
    drawn('rect', { class: 'part', width: 100 * value, height: 10 })) : null;
  return element('td', attributes, bar, column.words ? column.words(value) : value);
}

function sortBy(column) {
  // Numbers are of interest from the largest on, names from the first; then the other way round.
  state.down = column.name === state.sort ? !state.down : !column.text;
  state.sort = column.name;
  changed();
  document.querySelector(`[data-sort="${column.name}"]`).focus();
}

function grow(more) {
  const before = state.limit;
  state.limit += more;
  show();
  // On to the first new one.
  const row = byId('table').querySelectorAll('tbody tr')[before];
  const place = row?.querySelector('a') ?? row?.querySelector('th');
  place?.setAttribute('tabindex', -1);
  place?.focus();
}

function changed() {
  state.limit = AT_ONCE;
  writeAddress();
  show();
}

function controls() {
  const buttons = Object.entries(VIEWS).map(([view, { title, sort, down }]) =>
    element('button', {
      type: 'button',
      'data-view': view,
      onclick: () => {
        Object.assign(state, { view, sort, down });
        changed();
      },
    }, title));
  const search = element('input', {
    type: 'search', id: 'find', value: state.find, autocomplete: 'off',
    oninput: () => {
      state.find = search.value;
      state.limit = AT_ONCE;
      show();
    },
    onchange: writeAddress,
  });
  byId('controls').append(
    element('div', { class: 'controls', role: 'group', 'aria-label': 'Which recordings' }, ...buttons),
    element('div', { class: 'controls' },
      element('label', { for: 'find' }, 'Name, lead or error'), search));
}

// All of them on paper.
window.addEventListener('beforeprint', () => {
  state.limit = Infinity;
  show();
});
readAddress();
controls();
show();
