// Latencies, on a scale of powers of ten: the percentiles of each operation in a row, and below which latency which part of the bios is.
const MARKS = ['least', '50 %', '90 %', '99 %', '99.9 %', 'most'];
const DASHES = [[], [], [8, 3], [2, 3], [8, 3, 2, 3]];
const NINES = [0, 0.25, 0.5, 0.75, 0.9, 1];
const slowest = Math.max(1, ...data.latencies.map(one => one.values[5]));
const fastest = Math.max(1, Math.min(slowest, ...data.latencies.map(one => Math.max(1, one.values[0]))));
const lowest = Math.log10(fastest) - 0.08;
const highest = Math.max(Math.log10(slowest) + 0.08, lowest + 0.5);

function latencyArea(picture, top) {
  const area = areaOf(picture, top);
  return {...area, x: value => area.left + (Math.log10(Math.max(value, 1)) - lowest) / (highest - lowest) * area.width};
}

function drawLatencyAxis(context, picture, area) {
  const label = labels(context, picture);
  const isShort = highest - lowest < 1.5;
  for (let power = Math.max(0, Math.floor(lowest)); power <= highest; power++) {
    for (const times of isShort ? [1, 2, 3, 5, 7] : [1]) {
      const value = times * 10 ** power;
      const x = area.x(value);
      if (x < area.left - 1 || x > area.right + 1) continue;
      context.fillStyle = colors.grid;
      context.fillRect(Math.round(x), area.top, 1, area.height);
      label(data.byEvents ? countText(value) : timeText(value, value), x, area.bottom + 14);
    }
  }
  context.strokeStyle = colors.line;
  context.strokeRect(area.left - 0.5, area.top - 0.5, area.width + 1, area.height + 1);
}

function drawPercentiles(context, picture) {
  const area = latencyArea(picture, 28);
  drawLatencyAxis(context, picture, area);
  drawKey(context, area);
  const height = area.height / Math.max(1, data.latencies.length);
  data.latencies.forEach((one, row) => {
    const y = area.top + height * (row + 0.5);
    sideLabel(context, area, OPS[one.op] + (one.op === 2 ? 'es' : one.op === 4 ? '' : 's'), y);
    context.fillStyle = opColor(one.op);
    const xs = one.values.map(value => area.x(value));
    context.fillRect(xs[0], y - 1, Math.max(xs[5] - xs[0], 1), 2);
    xs.forEach((x, i) => drawPercentile(context, i, x, y, opColor(one.op)));
  });
}

// Bars at the ends, and between them a disc, a square, a triangle and a diamond.
function drawPercentile(context, which, x, y, color) {
  context.fillStyle = color;
  if (which === 0 || which === 5) context.fillRect(x - 1, y - 7, 2, 14);
  if (which === 1) {
    context.beginPath();
    context.arc(x, y, 5, 0, 2 * Math.PI);
    context.fill();
  }
  if (which === 2) context.fillRect(x - 4, y - 4, 8, 8);
  if (which === 3) drawShape(context, color, [[x, y - 6], [x + 6, y + 5], [x - 6, y + 5]]);
  if (which === 4) drawShape(context, color, [[x, y - 7], [x + 6, y], [x, y + 7], [x - 6, y]]);
}

function drawKey(context, area) {
  let x = area.left;
  MARKS.forEach((text, i) => {
    if (i === 0 || i === 5) return;
    drawPercentile(context, i, x + 8, 14, colors.muted);
    context.fillStyle = colors.muted;
    context.textAlign = 'left';
    context.fillText(text, x + 18, 14);
    x += 30 + context.measureText(text).width;
  });
}

const cdf = {op: 0, point: -1};

function drawCdf(context, picture) {
  const area = latencyArea(picture, 12);
  const yAt = part => area.bottom - part * area.height;
  for (const part of NINES) {
    context.fillStyle = colors.grid;
    context.fillRect(area.left, Math.round(yAt(part)), area.width, 1);
    sideLabel(context, area, `${part * 100} %`, Math.min(yAt(part), area.bottom - 4));
  }
  drawLatencyAxis(context, picture, area);
  clipTo(context, area);
  for (const one of data.latencies) {
    context.strokeStyle = opColor(one.op);
    context.lineWidth = one.op === 1 ? 3 : 2;
    context.setLineDash(DASHES[one.op]);
    context.beginPath();
    let y = area.bottom;
    context.moveTo(area.left, y);
    one.latency.forEach((value, i) => {
      context.lineTo(area.x(value), y);
      y = yAt(one.upTo[i] / one.count);
      context.lineTo(area.x(value), y);
    });
    context.lineTo(area.right, y);
    context.stroke();
  }
  context.setLineDash([]);
  context.lineWidth = 1;
  context.restore();
  const one = data.latencies[cdf.op];
  if (cdf.point < 0 || !one) return;
  context.fillStyle = colors.focus;
  context.beginPath();
  context.arc(area.x(one.latency[cdf.point]), yAt(one.upTo[cdf.point] / one.count), 6, 0, 2 * Math.PI);
  context.fill();
}

function tellCdf() {
  const one = data.latencies[cdf.op];
  const part = one.upTo[cdf.point] / one.count * 100;
  document.getElementById('cdf-detail').textContent =
    `${countText(one.upTo[cdf.point])} of ${countText(one.count)} ${PLURALS[one.op]} (${+part.toFixed(3)} %) took no longer than ${latencyText(one.latency[cdf.point])}.`;
  redraw([cdfPicture]);
}

function moveCdf(by, row) {
  if (data.latencies.length === 0) return;
  cdf.op = Math.min(Math.max(cdf.op + row, 0), data.latencies.length - 1);
  cdf.point = Math.min(Math.max(cdf.point + by, 0), data.latencies[cdf.op].latency.length - 1);
  tellCdf();
}

// The point of all lines that is nearest.
function pointCdf(x, y, picture) {
  const area = latencyArea(picture, 12);
  let least = Infinity;
  data.latencies.forEach((one, op) => one.latency.forEach((value, point) => {
    const far = Math.hypot(area.x(value) - x, area.bottom - one.upTo[point] / one.count * area.height - y);
    if (far < least) {
      least = far;
      Object.assign(cdf, {op, point});
    }
  }));
  if (least < Infinity) tellCdf();
}
