// What people do with the page: keys, mouse, buttons, theme, paper; and the first picture.
function onKeys(place, keys) {
  place.addEventListener('keydown', event => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const shared = {
      '+': () => zoom(0.5), '=': () => zoom(0.5), '-': () => zoom(2), '0': showAll,
      'Shift+ArrowLeft': () => pan(-0.25), 'Shift+ArrowRight': () => pan(0.25),
    };
    const isArrow = event.key.startsWith('Arrow');
    const action = event.shiftKey && isArrow ? shared[`Shift+${event.key}`] : keys[event.key] ?? (keys.isAlone ? undefined : shared[event.key]);
    if (!action) return;
    event.preventDefault();
    action();
  });
}

// Moving tells, dragging moves, a double click and the wheel with Ctrl zoom.
function onPointer(picture, areaOfPicture, tell) {
  const place = picture.place;
  let drag = null;
  const at = event => {
    const box = picture.canvas.getBoundingClientRect();
    return {x: event.clientX - box.left, y: event.clientY - box.top};
  };
  place.addEventListener('pointerdown', event => {
    if (event.button !== 0) return;
    drag = {x: at(event).x, from: view.from};
    place.setPointerCapture(event.pointerId);
  });
  place.addEventListener('pointermove', event => {
    const {x, y} = at(event);
    const area = areaOfPicture();
    if (drag && Math.abs(x - drag.x) > 3) {
      const span = view.to - view.from;
      const from = drag.from - (x - drag.x) / area.width * span;
      show(from, from + span);
    } else if (!drag) {
      tell(placeAt(area, x), x, y);
    }
  });
  for (const name of ['pointerup', 'pointercancel']) place.addEventListener(name, () => drag = null);
  place.addEventListener('dblclick', event => zoom(0.25, placeAt(areaOfPicture(), at(event).x)));
  place.addEventListener('wheel', event => {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    zoom(event.deltaY < 0 ? 0.8 : 1.25, placeAt(areaOfPicture(), at(event).x));
  }, {passive: false});
}

const timeline = addPicture('timeline', drawTimeline);
stepPicture('depth', events.depth, data.maxDepth, value => countText(value), 'in flight');
stepPicture('risk', events.risk, data.maxRisk, value => bytesText(value), 'at risk');
addPicture('percentiles', drawPercentiles);
const cdfPicture = addPicture('cdf', drawCdf);

// Where ↑ and ↓ stop: flushes, faults, marks, and what failed, was lost or landed.
const stops = [];
for (let bio = 0; bio < bioCount; bio++) {
  if (opOf(bio) === FLUSH || isFailed(bio) || faultsOf.has(bio) || lost.has(bio) || landed.has(bio)) stops.push({event: submittedAt(bio), bio, mark: -1});
}
data.marks.forEach((event, mark) => stops.push({event, bio: -1, mark}));
stops.sort((a, b) => a.event - b.event);

function focusOn(bio, mark, isFar) {
  Object.assign(focus, {bio, mark});
  const isBio = bio >= 0;
  const start = placeOf(isBio ? submittedAt(bio) : data.marks[mark]);
  if (isFar) reveal(start, isBio ? placeOf(endOf(bio)) : start);
  document.getElementById('timeline-detail').textContent =
    isBio ? bioText(bio) : `Mark at ${momentText(data.marks[mark])}: ${data.markTexts[mark]}`;
  redraw([timeline]);
}

const eventInFocus = () => focus.bio >= 0 ? submittedAt(focus.bio) : focus.mark >= 0 ? data.marks[focus.mark] : -1;

function step(by) {
  if (bioCount === 0) return;
  let bio = focus.bio + by;
  if (focus.bio < 0) {
    bio = 0;
    const after = focus.mark >= 0 ? eventInFocus() : firstEvent(view.from);
    while (bio < bioCount - 1 && submittedAt(bio) < after) bio++;
  }
  focusOn(Math.min(Math.max(bio, 0), bioCount - 1), -1, true);
}

function stop(by) {
  const now = eventInFocus();
  const next = by > 0 ? stops.find(one => one.event > now) : stops.findLast(one => one.event < now);
  if (next) focusOn(next.bio, next.mark, true);
}

onKeys(timeline.place, {
  ArrowRight: () => step(1),
  ArrowLeft: () => step(-1),
  ArrowDown: () => stop(1),
  ArrowUp: () => stop(-1),
  Home: () => bioCount && focusOn(0, -1, true),
  End: () => bioCount && focusOn(bioCount - 1, -1, true),
  Enter: () => {
    if (focus.bio < 0) return;
    const [from, to] = [placeOf(submittedAt(focus.bio)), placeOf(endOf(focus.bio))];
    const room = Math.max(to - from, leastSpan());
    show(from - room, to + room);
  },
});

// The bio under the pointer, or the one nearest to it.
onPointer(timeline, () => layTimeline(timeline).area, (place, x, y) => {
  const layout = layTimeline(timeline);
  const isOnMarks = lanes[0] === 'marks' && y < LANE + 4;
  let best = -1;
  let least = 20;
  if (isOnMarks) {
    data.marks.forEach((event, mark) => {
      const far = Math.abs(xOf(layout.area, placeOf(event)) - x);
      if (far < least) [best, least] = [mark, far];
    });
    if (best >= 0) focusOn(-1, best, false);
    return;
  }
  const from = placeAt(layout.area, x - least);
  const to = placeAt(layout.area, x + least);
  for (const bio of visibleBios().seen) {
    if (placeOf(submittedAt(bio)) > to) break;
    if (!isOpen(bio) && placeOf(endOf(bio)) < from) continue;
    const box = boxOf(layout, bio);
    const far = Math.hypot(Math.max(box.x - x, 0, x - box.x - box.width), Math.max(box.y - y, 0, y - box.y - box.height));
    if (far <= least) [best, least] = [bio, far];
  }
  if (best >= 0) focusOn(best, -1, false);
});

onKeys(cdfPicture.place, {
  isAlone: true,
  ArrowRight: () => moveCdf(1, 0), ArrowLeft: () => moveCdf(-1, 0), ArrowDown: () => moveCdf(0, 1), ArrowUp: () => moveCdf(0, -1),
});
cdfPicture.place.addEventListener('pointermove', event => {
  const box = cdfPicture.canvas.getBoundingClientRect();
  pointCdf(event.clientX - box.left, event.clientY - box.top, cdfPicture);
});

const actions = {in: () => zoom(0.5), out: () => zoom(2), left: () => pan(-0.25), right: () => pan(0.25), all: showAll};
for (const button of document.querySelectorAll('[data-do]')) button.addEventListener('click', actions[button.dataset.do]);
const axis = document.getElementById('axis');
axis.value = data.byEvents ? 'events' : 'time';
axis.disabled = data.byEvents;
axis.addEventListener('change', () => useEvents(axis.value === 'events'));
for (const button of document.querySelectorAll('button.show')) {
  button.addEventListener('click', () => {
    const bio = rowOf(+button.dataset.bio);
    if (bio < 0) return;
    focusOn(bio, -1, true);
    timeline.place.focus();
    timeline.place.scrollIntoView({block: 'center'});
  });
}

function legendItem(draw) {
  const canvas = document.createElement('canvas');
  canvas.setAttribute('aria-hidden', 'true');
  const item = document.createElement('li');
  document.getElementById('legend').append(item);
  legendDraws.push(() => {
    const ratio = window.devicePixelRatio || 1;
    canvas.width = 24 * ratio;
    canvas.height = 16 * ratio;
    const context = canvas.getContext('2d');
    context.scale(ratio, ratio);
    draw(context);
  });
  return [item, canvas];
}

const legendDraws = [];
const layoutOfLegend = {area: {top: 0, height: 0}};
OPS.forEach((name, op) => {
  const count = bios.kind.reduce((sum, kind) => sum + (kind >> 1 === op ? 1 : 0), 0);
  if (count === 0) return;
  const [item, canvas] = legendItem(context => op === FLUSH
    ? drawFlush(context, layoutOfLegend, bios.kind.findIndex(kind => kind >> 1 === FLUSH), {x: 2, y: 2, width: 14, height: 12}, false)
    : drawBox(context, op, {x: 2, y: 3, width: 18, height: 10}, false));
  const label = document.createElement('label');
  const box = document.createElement('input');
  box.type = 'checkbox';
  box.checked = true;
  box.addEventListener('change', () => {
    shownOps[op] = box.checked;
    redraw();
  });
  label.append(box, canvas, `${PLURALS[op]} (${countText(count)})`);
  item.append(label);
});
const others = [
  [bios.kind.some(kind => kind % 2 === 1), 'FUA: a bar at its end', context => drawBox(context, 1, {x: 2, y: 4, width: 16, height: 8}, true)],
  [data.faultBios.length > 0 || bios.result.some(result => result > OK), 'failed or hit by a fault', context => drawCross(context, 12, 8, 4, colors.bad)],
  [data.marks.length > 0, 'mark', context => drawShape(context, colors.mark, [[12, 2], [17, 8], [12, 14], [7, 8]])],
  [data.crash !== undefined, 'power loss of the failure', context => drawLegendCrash(context)],
];
for (const [isThere, text, draw] of others) {
  if (!isThere) continue;
  const [item, canvas] = legendItem(draw);
  item.append(canvas, text);
}

function drawLegendCrash(context) {
  context.strokeStyle = colors.bad;
  context.lineWidth = 2;
  context.setLineDash([4, 3]);
  context.beginPath();
  context.moveTo(12, 0);
  context.lineTo(12, 16);
  context.stroke();
}

listeners.push(() => {
  const step = (view.to - view.from) / 1000;
  document.getElementById('range').textContent = view.byEvents
    ? `events ${countText(Math.ceil(view.from))} to ${countText(Math.min(Math.floor(view.to), Math.max(eventCount - 1, 0)))} of ${countText(eventCount)}`
    : `${timeText(view.from, step)} to ${timeText(Math.min(view.to, wholeStart() + wholeSpan()), step)} of a run of ${fine(wholeSpan())}`;
  redraw();
});

const root = document.documentElement;
const dark = matchMedia('(prefers-color-scheme: dark)');
const theme = document.getElementById('theme');
const isDark = () => root.dataset.theme ? root.dataset.theme === 'dark' : dark.matches;

function repaint() {
  readColors();
  makePatterns(document.createElement('canvas').getContext('2d'));
  theme.textContent = isDark() ? 'Light' : 'Dark';
  theme.setAttribute('aria-label', isDark() ? 'Light theme' : 'Dark theme');
  legendDraws.forEach(draw => draw());
  redraw();
}

theme.addEventListener('click', () => {
  root.dataset.theme = isDark() ? 'light' : 'dark';
  repaint();
});
dark.addEventListener('change', () => repaint());

// What scrolls is reached with keys.
function resize() {
  for (const table of document.querySelectorAll('.table')) {
    if (table.scrollWidth > table.clientWidth || table.scrollHeight > table.clientHeight) table.tabIndex = 0; else table.removeAttribute('tabindex');
  }
  redraw();
}

new ResizeObserver(() => resize()).observe(document.querySelector('main'));
// Paper is white, and waits for no frame.
for (const name of ['beforeprint', 'afterprint']) {
  addEventListener(name, () => {
    repaint();
    pictures.forEach(picture => picture.paint());
  });
}

readColors();
showAll();
repaint();
pictures.forEach(picture => picture.paint());
root.dataset.ready = Math.round(performance.now() - started);
