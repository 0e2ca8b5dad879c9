// Canvases as wide as their places and as fine as the screen, and what all pictures draw.
let colors = {};
const FONT = '12px system-ui, sans-serif';
const pictures = [];

function readColors() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ['page', 'panel', 'ink', 'muted', 'line', 'grid', 'focus', 'read', 'write', 'flush', 'discard', 'zeroes', 'bad', 'good', 'mark']) {
    colors[name] = style.getPropertyValue(`--${name}`).trim();
  }
}

const opColor = op => colors[OPS[op]];

// A picture draws itself into its canvas whenever something changed, once for each frame at most.
function addPicture(id, draw) {
  const place = document.getElementById(id);
  const canvas = place.querySelector('canvas');
  const picture = {id, place, canvas, isDirty: true, width: 0, height: 0, drawn: 0};
  picture.paint = () => {
    picture.isDirty = false;
    const ratio = window.devicePixelRatio || 1;
    picture.width = place.clientWidth;
    picture.height = place.clientHeight;
    canvas.width = Math.round(picture.width * ratio);
    canvas.height = Math.round(picture.height * ratio);
    const context = canvas.getContext('2d');
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.font = FONT;
    context.textBaseline = 'middle';
    draw(context, picture);
    picture.drawn++;
    place.dataset.drawn = picture.drawn;
  };
  pictures.push(picture);
  return picture;
}

let isAsked = false;
function redraw(changed = pictures) {
  changed.forEach(picture => picture.isDirty = true);
  if (isAsked) return;
  isAsked = true;
  requestAnimationFrame(() => {
    isAsked = false;
    pictures.filter(picture => picture.isDirty).forEach(picture => picture.paint());
  });
}

// Where the picture's own area is, beside its labels.
function areaOf(picture, top) {
  const left = picture.width < 500 ? 66 : 84;
  return {left, top, right: picture.width - 14, bottom: picture.height - 28, width: picture.width - 14 - left, height: picture.height - 28 - top};
}

const xOf = (area, place) => area.left + (place - view.from) / (view.to - view.from) * area.width;
const placeAt = (area, x) => view.from + (x - area.left) / area.width * (view.to - view.from);

function clipTo(context, area, top = area.top) {
  context.save();
  context.beginPath();
  context.rect(area.left, top, area.width, area.bottom - top);
  context.clip();
}

// A text under or beside a tick, within the picture, if it does not touch the last.
function labels(context, picture) {
  let free = -Infinity;
  return (text, x, y) => {
    const width = context.measureText(text).width;
    const left = Math.min(Math.max(x - width / 2, 2), picture.width - width - 2);
    if (left < free) return;
    free = left + width + 12;
    context.fillStyle = colors.muted;
    context.textAlign = 'left';
    context.fillText(text, left, y);
  };
}

function drawTimeAxis(context, picture, area) {
  const span = view.to - view.from;
  const step = Math.max(1, roundStep(span, area.width / (view.byEvents ? 80 : 100)));
  const label = labels(context, picture);
  for (let place = Math.ceil(view.from / step) * step; place <= view.to; place += step) {
    const x = Math.round(xOf(area, place)) + 0.5;
    context.fillStyle = colors.grid;
    context.fillRect(x - 0.5, area.top, 1, area.height);
    label(view.byEvents ? countText(place) : timeText(place, step), x, area.bottom + 14);
  }
  context.strokeStyle = colors.line;
  context.strokeRect(area.left - 0.5, area.top - 0.5, area.width + 1, area.height + 1);
}

// Of marks closer than this one stands for all.
const APART = 10;

// A text at the left edge that says where on the other axis a line is.
function sideLabel(context, area, text, y) {
  context.fillStyle = colors.muted;
  context.textAlign = 'right';
  context.fillText(text, area.left - 8, y);
}

function drawCross(context, x, y, size, color) {
  context.lineWidth = 2;
  context.strokeStyle = color;
  context.beginPath();
  context.moveTo(x - size, y - size);
  context.lineTo(x + size, y + size);
  context.moveTo(x + size, y - size);
  context.lineTo(x - size, y + size);
  context.stroke();
  context.lineWidth = 1;
}

function drawShape(context, color, points) {
  context.fillStyle = color;
  context.beginPath();
  points.forEach(([x, y], i) => i === 0 ? context.moveTo(x, y) : context.lineTo(x, y));
  context.closePath();
  context.fill();
}

// The moment at which the power was lost in the failure: between two events.
function drawCrash(context, area, hasText) {
  if (data.crash === undefined || eventCount === 0) return;
  const before = placeOf(Math.min(Math.max(data.crash - 1, 0), eventCount - 1));
  const after = data.crash < eventCount ? placeOf(data.crash) : before;
  const x = Math.round(xOf(area, data.crash === 0 ? placeOf(0) : (before + after) / 2)) + 0.5;
  if (x < area.left || x > area.right) return;
  context.strokeStyle = colors.bad;
  context.setLineDash([6, 4]);
  context.lineWidth = 2;
  context.beginPath();
  context.moveTo(x, area.top);
  context.lineTo(x, area.bottom);
  context.stroke();
  context.setLineDash([]);
  context.lineWidth = 1;
  if (!hasText) return;
  const text = 'power loss';
  const width = context.measureText(text).width;
  const left = x + 6 + width < area.right ? x + 6 : x - 6 - width;
  context.fillStyle = colors.panel;
  context.fillRect(left - 3, area.bottom - 20, width + 6, 16);
  context.fillStyle = colors.bad;
  context.textAlign = 'left';
  context.fillText(text, left, area.bottom - 12);
}
