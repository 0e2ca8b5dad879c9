// The axis that timeline, depth and risk share, and what part of it is shown.
const view = {byEvents: data.byEvents, from: 0, to: 1};
const listeners = [];

const placeOf = event => view.byEvents ? event : events.time[event];
const wholeStart = () => eventCount === 0 ? 0 : placeOf(0);
const wholeSpan = () => eventCount === 0 ? 1 : Math.max(1, placeOf(eventCount - 1) - placeOf(0));
const leastSpan = () => view.byEvents ? 4 : 20;
// Room for what happens at the very end.
const roomySpan = () => wholeSpan() * 1.01;

function show(from, to) {
  const span = Math.min(Math.max(to - from, Math.min(leastSpan(), roomySpan())), roomySpan());
  view.from = Math.min(Math.max(from, wholeStart()), wholeStart() + roomySpan() - span);
  view.to = view.from + span;
  listeners.forEach(listener => listener());
}

const showAll = () => show(wholeStart(), wholeStart() + roomySpan());
const pan = part => show(view.from + (view.to - view.from) * part, view.to + (view.to - view.from) * part);

function zoom(factor, around = (view.from + view.to) / 2) {
  const span = Math.max((view.to - view.from) * factor, Math.min(leastSpan(), roomySpan()));
  const part = (around - view.from) / (view.to - view.from);
  show(around - span * part, around + span * (1 - part));
}

// Brings a place into sight, the span as it is.
function reveal(from, to) {
  if (to < view.from || from > view.to) {
    const half = (view.to - view.from) / 2;
    show(from - half, from + half);
  }
}

function useEvents(byEvents) {
  const first = firstEvent(view.from);
  const last = Math.max(first, firstEvent(view.to) - 1);
  const isWhole = view.to - view.from >= roomySpan() * 0.999;
  view.byEvents = byEvents;
  if (isWhole || eventCount === 0) showAll(); else show(placeOf(first), placeOf(last));
}

// The first event at or after a place.
function firstEvent(place) {
  let low = 0;
  let high = eventCount;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (placeOf(middle) < place) low = middle + 1; else high = middle;
  }
  return low;
}

// 1, 2 or 5 times a power of ten, so that there are no more than so many steps.
function roundStep(span, most) {
  const raw = span / Math.max(1, most);
  const power = 10 ** Math.floor(Math.log10(raw));
  return [1, 2, 5, 10].find(step => step * power >= raw * 0.999) * power;
}
