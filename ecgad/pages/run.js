'use strict';
// The report of a training: tables that are sorted and filtered, pictures that open large.

// Of a cell: its number where it is one, else its text; undefined where it has no value.
function valueOf(text) {
  if (text === '-') return undefined;
  const value = Number(text.replaceAll(',', ''));
  return Number.isNaN(value) ? text : value;
}

function compared(a, b) {
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  return String(a).localeCompare(String(b), 'en', { numeric: true });
}

// Give the headings of a table buttons that sort its rows, first in one direction, then in the other.
function makeSortable(table) {
  const body = table.tBodies[0];
  const rows = [...body.rows].map((row) => ({
    row, values: [...row.cells].map((cell) => valueOf(cell.textContent)),
  }));
  [...table.tHead.rows[0].cells].forEach((heading, column) => {
    const sort = () => {
      const downwards = heading.getAttribute('aria-sort') === 'ascending';
      for (const other of table.tHead.rows[0].cells) other.removeAttribute('aria-sort');
      heading.setAttribute('aria-sort', downwards ? 'descending' : 'ascending');
      const valued = rows.filter(({ values }) => values[column] !== undefined);
      const others = rows.filter(({ values }) => values[column] === undefined);
      const sign = downwards ? -1 : 1;
      valued.sort((a, b) => sign * compared(a.values[column], b.values[column]));
      body.replaceChildren(...[...valued, ...others].map(({ row }) => row));
    };
    const button = element('button', { type: 'button', onclick: sort }, heading.textContent);
    heading.replaceChildren(button);
  });
}

// Put a field above a table that shows the rows whose name holds what is typed into it.
function makeFilterable(part) {
  const what = part.dataset.rows;
  const rows = [...part.querySelector('tbody').rows].map((row) => ({
    row, name: row.cells[0].textContent.toLowerCase(),
  }));
  const status = element('span', { class: 'muted', role: 'status' });
  const say = (n) => {
    status.textContent = `${n.toLocaleString('en')} of ${rows.length.toLocaleString('en')} ${what}`;
  };
  const filter = () => {
    const wanted = field.value.trim().toLowerCase();
    let n = 0;
    for (const { row, name } of rows) {
      const shown = name.includes(wanted);
      // To write what is there already costs as much as to change it.
      if (row.hidden === shown) row.hidden = !shown;
      if (shown) n += 1;
    }
    say(n);
  };
  const field = element('input', { type: 'search', oninput: filter });
  say(rows.length);
  part.prepend(element('div', { class: 'controls' },
    element('label', {}, `Filter ${what}`, field), status));
}

// Open pictures in a dialog of the window's size, from which one steps to the next.
function makeOpenable(figures) {
  let index = 0;
  const title = element('h2', { id: 'large-title' });
  const place = element('span', { class: 'muted' });
  const image = element('img');
  const pane = element('div', { class: 'large' }, image);
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
    pane.scrollTo((pane.scrollWidth - pane.clientWidth) / 2, 0);
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

for (const part of document.querySelectorAll('.filtered')) {
  makeFilterable(part);
  makeSortable(part.querySelector('table'));
}
makeOpenable([...document.querySelectorAll('figure')]);
// The beat that a strip is shown for is in its middle.
for (const mat of document.querySelectorAll('.wide .mat')) {
  mat.scrollLeft = (mat.scrollWidth - mat.clientWidth) / 2;
}
