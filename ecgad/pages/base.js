'use strict';
// What all pages share: elements, the data of the page, numbers and times as words.

// Asked of the browser: a page holds no address of any kind, as whoever searches it can see.
const SVG = (() => {
  const template = document.createElement('template');
  template.innerHTML = '<svg></svg>';
  return template.content.firstChild.namespaceURI;
})();

// An element with attributes and children. What is undefined or null is left out; text is text.
function element(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

function drawn(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? '' : value);
  }
  node.append(...children.filter((child) => child !== undefined && child !== null));
  return node;
}

function byId(id) {
  return document.getElementById(id);
}

// A table of cells that are text; the first of each row is its heading.
function tableOf(caption, head, rows) {
  const top = head.map((cell) => element('th', { scope: 'col' }, cell));
  const lines = rows.map(([first, ...others]) =>
    element('tr', {}, element('th', { scope: 'row' }, first),
      ...others.map((cell) => element('td', {}, cell))));
  return element('div', { class: 'scroll' },
    element('table', {},
      element('caption', {}, caption),
      element('thead', {}, element('tr', {}, ...top)),
      element('tbody', {}, ...lines)));
}

// Details whose content is made when they are first opened.
function laterDetails(title, make) {
  const details = element('details', {}, element('summary', {}, title));
  details.addEventListener('toggle', () => {
    if (details.open && details.children.length === 1) details.append(make());
  });
  return details;
}

function pageData() {
  return JSON.parse(byId('data').textContent);
}

// The bytes that the page holds under a name, inflated.
async function pageBytes(name) {
  const text = atob(byId(name).textContent);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('deflate'));
  return new Response(stream).arrayBuffer();
}

// Seconds as H:MM:SS, with so many decimals.
function duration(seconds, decimals = 0) {
  const scale = 10 ** decimals;
  const total = Math.round(Math.abs(seconds) * scale);
  const whole = Math.floor(total / scale);
  const two = (value) => String(value).padStart(2, '0');
  const fraction = decimals ? `.${String(total % scale).padStart(decimals, '0')}` : '';
  const words = `${Math.floor(whole / 3600)}:${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}`;
  return `${seconds < 0 && total ? '−' : ''}${words}${fraction}`;
}

// A number of so many figures, but never less than its whole part.
function number(value, digits = 3) {
  if (value === null) return '–';
  return Math.abs(value) >= 10 ** digits ? String(Math.round(value)) : String(Number(value.toPrecision(digits)));
}

function counted(n, one, several = `${one}s`) {
  return `${n.toLocaleString('en')} ${n === 1 ? one : several}`;
}

function atMost(value, low, high) {
  return Math.min(Math.max(value, low), high);
}

// The index of the first value that is not less, in ascending values.
function firstNotLess(values, value) {
  let [low, high] = [0, values.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
