// Bios by place and time: lanes of marks, faults and flushes, and below them each bio as a box from its submission to its answer.
const LANE = 20;
const GAP = 10;
const LEAST_PART = 24;
const MOST_BOXES = 4000;
const shownOps = OPS.map(() => true);
const lanes = [...data.marks.length ? ['marks'] : [], ...data.faultBios.length ? ['faults'] : [], 'flushes'];
const focus = {bio: -1, mark: -1};
const patterns = {};

function makePatterns(context) {
  for (const op of ['discard', 'zeroes']) {
    const tile = document.createElement('canvas');
    tile.width = tile.height = 6;
    const ink = tile.getContext('2d');
    ink.strokeStyle = ink.fillStyle = colors[op];
    ink.lineWidth = 1.5;
    if (op === 'discard') {
      ink.beginPath();
      for (const shift of [-6, 0, 6]) {
        ink.moveTo(shift, 6);
        ink.lineTo(shift + 6, 0);
      }
      ink.stroke();
    } else {
      ink.fillRect(1, 1, 2, 2);
      ink.fillRect(4, 4, 2, 2);
    }
    patterns[op] = context.createPattern(tile, 'repeat');
  }
}

// The parts of the disk from the bottom up, each at least so high that it is seen.
function layParts(area) {
  const total = data.parts.reduce((sum, [start, end]) => sum + end - start, 0);
  const free = area.height - GAP * (data.parts.length - 1) - LEAST_PART * data.parts.length;
  let bottom = area.bottom;
  return data.parts.map(([start, end]) => {
    const height = LEAST_PART + free * (end - start) / total;
    const part = {start, end, bottom, top: bottom - height};
    bottom = part.top - GAP;
    return part;
  });
}

function yOf(parts, offset, isEnd) {
  const part = parts.find(one => isEnd ? offset <= one.end : offset < one.end) ?? parts[parts.length - 1];
  return part.bottom - Math.min(1, Math.max(0, (offset - part.start) / (part.end - part.start))) * (part.bottom - part.top);
}

function boxOf(layout, bio) {
  const {area, parts} = layout;
  const x = xOf(area, placeOf(submittedAt(bio)));
  const right = isOpen(bio) ? area.right : xOf(area, placeOf(endOf(bio)));
  if (opOf(bio) === FLUSH) return {x, y: layout.lane('flushes') - 6, width: Math.max(right - x, 3), height: 12};
  if (parts.length === 0) return {x, y: area.bottom - 4, width: Math.max(right - x, 4), height: 4};
  const top = yOf(parts, bios.offset[bio] + bios.length[bio], true);
  const bottom = yOf(parts, bios.offset[bio], false);
  const height = Math.max(bottom - top, 4);
  return {x, y: Math.min(top, area.bottom - height), width: Math.max(right - x, 4), height};
}

function layTimeline(picture) {
  const area = areaOf(picture, lanes.length * LANE + 8);
  return {area, parts: layParts(area), lane: name => LANE * lanes.indexOf(name) + LANE / 2 + 4};
}

// What the view shows, by row; bios are in order of submission. It is looked for anew when the view changed, not at each move of the mouse.
let visible = {key: ''};

function visibleBios() {
  const key = [view.byEvents, view.from, view.to, ...shownOps].join();
  if (visible.key !== key) {
    const seen = [];
    for (let bio = 0; bio < bioCount; bio++) {
      if (placeOf(submittedAt(bio)) > view.to) break;
      if (shownOps[opOf(bio)] && (isOpen(bio) || placeOf(endOf(bio)) >= view.from)) seen.push(bio);
    }
    visible = {key, seen, ranged: seen.filter(bio => opOf(bio) !== FLUSH), flushes: seen.filter(bio => opOf(bio) === FLUSH)};
  }
  return visible;
}

// Each operation by colour and by shape: reads are hollow, writes solid, discards hatched, zeroes dotted.
function drawBox(context, op, box, fua) {
  const {x, y, width, height} = box;
  const color = opColor(op);
  if (op === 1) {
    context.fillStyle = color;
    context.fillRect(x, y, width, height);
    if (fua) {
      context.fillStyle = colors.ink;
      context.fillRect(x + width - 2, y - 2, 2, height + 4);
    }
    return;
  }
  if (op === 0) {
    context.globalAlpha = 0.2;
    context.fillStyle = color;
  } else {
    context.fillStyle = patterns[OPS[op]];
  }
  context.fillRect(x, y, width, height);
  context.globalAlpha = 1;
  context.strokeStyle = color;
  context.strokeRect(x + 0.5, y + 0.5, Math.max(width - 1, 1), Math.max(height - 1, 1));
}

function drawFlush(context, layout, bio, box, hasLine) {
  const middle = box.y + box.height / 2;
  context.fillStyle = colors.flush;
  context.globalAlpha = 0.35;
  context.fillRect(box.x, middle - 3, box.width, 6);
  context.globalAlpha = 1;
  if (isOpen(bio)) return;
  const x = Math.round(box.x + box.width);
  drawShape(context, colors.flush, [[x - 5, middle - 5], [x + 5, middle - 5], [x, middle + 5]]);
  if (isFailed(bio)) {
    drawCross(context, x, middle, 4, colors.bad);
  } else if (hasLine) {
    context.fillStyle = colors.flush;
    context.globalAlpha = 0.35;
    context.fillRect(x - 0.5, layout.area.top, 1, layout.area.height);
    context.globalAlpha = 1;
  }
}

function drawFlushes(context, layout, flushes) {
  let last = -Infinity;
  for (const bio of flushes) {
    const box = boxOf(layout, bio);
    const end = box.x + box.width;
    if (end - last < APART && bio !== focus.bio) continue;
    last = end;
    drawFlush(context, layout, bio, box, flushes.length < 100);
  }
}

function drawPlaces(context, layout) {
  const {area, parts} = layout;
  const taken = [];
  const put = (offset, y) => {
    if (taken.some(other => Math.abs(other - y) < 15)) return;
    taken.push(y);
    sideLabel(context, area, bytesText(offset), Math.min(Math.max(y, area.top + 6), area.bottom - 6));
  };
  for (const part of parts) put(part.start, part.bottom - 6);
  for (const part of parts) {
    put(part.end, part.top + 6);
    const step = 2 ** Math.ceil(Math.log2((part.end - part.start) / ((part.bottom - part.top) / 36)));
    for (let at = Math.ceil(part.start / step) * step; at < part.end; at += step) {
      const y = yOf([part], at, false);
      context.fillStyle = colors.grid;
      context.fillRect(area.left, Math.round(y), area.width, 1);
      put(at, y);
    }
  }
  // Between two parts lies what no bio touched.
  context.fillStyle = colors.page;
  for (const part of parts.slice(1)) context.fillRect(area.left, part.bottom + 1, area.width, GAP - 2);
}

function drawLanes(context, layout) {
  const {area} = layout;
  for (const name of lanes) sideLabel(context, area, name, layout.lane(name));
  let free = -Infinity;
  let last = -Infinity;
  context.textAlign = 'left';
  data.marks.forEach((event, mark) => {
    const x = xOf(area, placeOf(event));
    const isFocused = focus.mark === mark;
    if (x < area.left - 6 || x > area.right + 6 || (x - last < APART / 2 && !isFocused)) return;
    last = x;
    const y = layout.lane('marks');
    drawShape(context, isFocused ? colors.focus : colors.mark, [[x, y - 6], [x + 5, y], [x, y + 6], [x - 5, y]]);
    const text = data.markTexts[mark].replace(/\s+/g, ' ').slice(0, 40);
    const width = context.measureText(text).width;
    const next = mark + 1 < data.marks.length ? xOf(area, placeOf(data.marks[mark + 1])) : Infinity;
    if (x > free && x + 10 + width < Math.min(next - 8, area.right)) {
      context.fillStyle = colors.muted;
      context.fillText(text, x + 9, y);
      free = x + 12 + width;
    }
  });
  last = -Infinity;
  for (const [bio] of [...faultsOf].sort((a, b) => a[0] - b[0])) {
    const x = xOf(area, placeOf(submittedAt(bio)));
    if (x < area.left - 6 || x > area.right + 6 || x - last < APART) continue;
    last = x;
    drawCross(context, x, layout.lane('faults'), 5, colors.bad);
  }
}

// What the failure lost and what landed, each with its number; what failed; and what is in focus.
function drawNotes(context, layout, seen, isDense) {
  for (const bio of seen) {
    const isMarked = lost.has(bio) || landed.has(bio);
    if (!isMarked && bio !== focus.bio && (isDense || !isFailed(bio) && !faultsOf.has(bio))) continue;
    const box = boxOf(layout, bio);
    if (isFailed(bio) || faultsOf.has(bio)) drawCross(context, box.x + Math.min(box.width / 2, 6), box.y + box.height / 2, 4, colors.bad);
    if (isMarked) drawMarked(context, layout, bio, box);
    if (bio !== focus.bio) continue;
    context.lineWidth = 3;
    context.strokeStyle = colors.focus;
    context.strokeRect(box.x - 3, box.y - 3, box.width + 6, box.height + 6);
    context.lineWidth = 1;
  }
}

function drawMarked(context, layout, bio, box) {
  const color = lost.has(bio) ? colors.bad : colors.good;
  context.lineWidth = 2;
  context.strokeStyle = color;
  context.setLineDash(lost.has(bio) ? [4, 2] : []);
  context.strokeRect(box.x - 4, box.y - 4, box.width + 8, box.height + 8);
  context.setLineDash([]);
  context.lineWidth = 1;
  const text = `${lost.has(bio) ? 'lost' : 'landed'} ${bios.index[bio]}`;
  const width = context.measureText(text).width;
  const left = Math.min(Math.max(box.x - 4, layout.area.left + 2), layout.area.right - width - 4);
  const y = box.y - 14 > layout.area.top + 6 ? box.y - 14 : box.y + box.height + 14;
  context.fillStyle = colors.panel;
  context.fillRect(left - 2, y - 8, width + 4, 16);
  context.fillStyle = color;
  context.textAlign = 'left';
  context.fillText(text, left, y);
}

function drawTimeline(context, picture) {
  makePatterns(context);
  const layout = layTimeline(picture);
  const {area} = layout;
  drawPlaces(context, layout);
  drawTimeAxis(context, picture, area);
  const {seen, ranged, flushes} = visibleBios();
  const isDense = ranged.length > MOST_BOXES;
  picture.place.dataset.dense = isDense;
  picture.place.dataset.seen = seen.length;
  clipTo(context, area, 0);
  if (isDense) {
    drawDense(context, picture, layout, ranged);
  } else {
    // Reads below, since they change nothing.
    for (const isRead of [true, false]) {
      for (const bio of ranged) {
        if ((opOf(bio) === 0) === isRead) drawBox(context, opOf(bio), boxOf(layout, bio), isFua(bio));
      }
    }
  }
  drawFlushes(context, layout, flushes);
  drawNotes(context, layout, seen, isDense);
  context.restore();
  drawLanes(context, layout);
  drawCrash(context, area, true);
}
