'use strict';
// The report of a training: tables that are sorted and filtered, pictures that open large.

// Of a table, at first: to lay out thousands takes a second, each time.
const MOST_ROWS = 200;
// Record 9 comes before record 10.
const ORDER = new Intl.Collator('en', { numeric: true });

// Of a cell: its number where it is one, else its text; undefined where it has no value.
function valueOf(text) {
  if (text === '-') return undefined;
  const value = Number(text.replaceAll(',', ''));
  return Number.isNaN(value) ? text : value;
}

function compared(a, b) {
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  return ORDER.compare(a, b);
}

// Give a table a field that filters its rows by their names, and headings that sort them.
function makeSearchable(part) {
  const what = part.dataset.rows;
  const table = part.querySelector('table');
  const headings = [...table.tHead.rows[0].cells];
  let rows = [...table.tBodies[0].rows].map((row) => ({
    row,
    name: row.cells[0].textContent.toLowerCase(),
    values: [...row.cells].map((cell) => valueOf(cell.textContent)),
  }));
  let most = MOST_ROWS;
  const field = element('input', { type: 'search', oninput: show });
  const status = element('span', { class: 'muted', role: 'status' });
  const all = element('button', { type: 'button', onclick: showAll }, 'Show all');

  function show() {
    const wanted = field.value.trim().toLowerCase();
    const found = rows.filter(({ name }) => name.includes(wanted));
    const shown = found.slice(0, most);
    table.tBodies[0].replaceChildren(...shown.map(({ row }) => row));
    all.hidden = shown.length === found.length;
    const counts = [found, rows, shown].map((of) => of.length.toLocaleString('en'));
    const cut = all.hidden ? '' : `, the first ${counts[2]} shown`;
    status.textContent = `${counts[0]} of ${counts[1]} ${what}${cut}`;
  }

  function showAll() {
    most = Infinity;
    show();
  }

  // On paper there is no field to see that it filters.
  function printAll() {
    field.value = '';
    showAll();
  }

  // First in one direction, then in the other; rows without a value are always last.
  function sortBy(column) {
    const downwards = headings[column].getAttribute('aria-sort') === 'ascending';
    for (const heading of headings) heading.removeAttribute('aria-sort');
    headings[column].setAttribute('aria-sort', downwards ? 'descending' : 'ascending');
    const valued = rows.filter(({ values }) => values[column] !== undefined);
    const others = rows.filter(({ values }) => values[column] === undefined);
    const sign = downwards ? -1 : 1;
    valued.sort((a, b) => sign * compared(a.values[column], b.values[column]));
    rows = [...valued, ...others];
    show();
  }

  headings.forEach((heading, column) => {
    const sort = () => sortBy(column);
    const button = element('button', { type: 'button', onclick: sort }, heading.textContent);
    heading.replaceChildren(button);
  });
  // So that keys scroll it.
  const scrolled = { tabindex: 0, role: 'region', 'aria-label': `Table of ${what}` };
  filled(part.querySelector('.scroll'), scrolled, []);
  window.addEventListener('beforeprint', printAll);
  part.prepend(element('div', { class: 'controls' },
    element('label', {}, `Filter ${what}`, field), status, all));
  show();
}

// Show where a picture begins; of a strip its middle, where the beat is that it is shown for.
function toStart(pane, figure) {
  const middle = (pane.scrollWidth - pane.clientWidth) / 2;
  pane.scrollTo(figure.classList.contains('wide') ? middle : 0, 0);
}

// Open pictures in a dialog of the window's size, from which one steps to the next.
function makeOpenable(figures) {
  let index = 0;
  const title = element('h2', { id: 'large-title' });
  const place = element('span', { class: 'muted' });
  const image = element('img');
  const pane = element('div', { class: 'large', tabindex: 0, autofocus: true }, image);
  const caption = element('p', {});
  const step = (by) => show((index + by + figures.length) % figures.length);
  const dialog = element('dialog', { 'aria-labelledby': 'large-title', onkeydown: onKey },
    element('div', { class: 'controls' }, title, place,
      element('button', { type: 'button', onclick: () => step(-1) }, 'Previous'),
      element('button', { type: 'button', onclick: () => step(1) }, 'Next'),
      element('button', { type: 'button', onclick: () => dialog.close() }, 'Close')),
    pane, caption);

  function onKey(event) {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (by === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    step(by);
  }

  function show(at) {
    index = at;
    const figure = figures[at];
    const small = figure.querySelector('img');
    image.src = small.src;
    image.alt = small.alt;
    image.width = small.getAttribute('width');
    image.height = small.getAttribute('height');
    title.textContent = figure.querySelector('h3').textContent;
    place.textContent = `${at + 1} of ${figures.length}`;
    caption.textContent = figure.querySelector('figcaption').textContent;
    if (!dialog.open) dialog.showModal();
    toStart(pane, figure);
  }

  figures.forEach((figure, at) => {
    const small = figure.querySelector('img');
    const label = `Open large: ${figure.querySelector('h3').textContent}`;
    const button = element('button', { type: 'button', 'aria-label': label, onclick: () => show(at) });
    small.replaceWith(button);
    button.append(small);
  });
  dialog.addEventListener('close', () => figures[index].querySelector('button').focus());
  document.body.append(dialog);
}

for (const part of document.querySelectorAll('.filtered')) makeSearchable(part);
makeOpenable([...document.querySelectorAll('figure')]);
for (const figure of document.querySelectorAll('figure')) {
  toStart(figure.querySelector('.mat'), figure);
}
