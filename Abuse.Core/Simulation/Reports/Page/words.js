// Numbers and bios in words.
const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

function bytesText(bytes) {
  let unit = 0;
  while (bytes >= 1024 && unit < UNITS.length - 1) {
    bytes /= 1024;
    unit++;
  }
  return `${+bytes.toFixed(bytes < 10 ? 2 : 1)} ${UNITS[unit]}`;
}

// Ticks are of 100 ns. The step is what a label must tell apart.
function timeText(ticks, step = ticks) {
  const size = Math.max(Math.abs(ticks), step);
  const [scale, unit] = size >= 1e7 ? [1e7, 's'] : size >= 1e4 ? [1e4, 'ms'] : [10, 'µs'];
  const digits = Math.min(7, Math.max(0, Math.ceil(-Math.log10(Math.max(step, 1) / scale) - 1e-9)));
  return `${(ticks / scale).toFixed(digits)} ${unit}`;
}

const fine = ticks => timeText(ticks, Math.max(ticks / 1000, 1));
const latencyText = value => data.byEvents ? `${value} event${value === 1 ? '' : 's'}` : fine(value);
const countText = value => value.toLocaleString('en-US');
const NAMES = ['Read', 'Write', 'Flush', 'Discard', 'Write of zeroes'];
const PLURALS = ['reads', 'writes', 'flushes', 'discards', 'writes of zeroes'];

function momentText(event) {
  return data.byEvents ? `event ${countText(event)}` : `${fine(events.time[event])} (event ${countText(event)})`;
}

function bioText(bio) {
  const op = opOf(bio);
  const parts = [`Bio ${bios.index[bio]}: ${NAMES[op]}`];
  if (op !== FLUSH) parts.push(` of ${bytesText(bios.length[bio])} at ${bios.offset[bio]}`);
  if (isFua(bio)) parts.push(', FUA');
  parts.push(isOpen(bio) ? ', no answer' : `, ${data.results[bios.result[bio]]}`);
  if (lost.has(bio)) parts.push('. Lost in the failure');
  if (landed.has(bio)) parts.push('. Landed in the failure');
  parts.push(`. Submitted at ${momentText(submittedAt(bio))}`);
  if (!isOpen(bio)) {
    const took = data.byEvents ? bios.took[bio] : events.time[endOf(bio)] - events.time[submittedAt(bio)];
    parts.push(`, answered at ${momentText(endOf(bio))}, after ${latencyText(took)}`);
  }
  if (bios.site[bio] !== 0) parts.push(`. From ${data.sites[bios.site[bio]]}`);
  for (const fault of faultsOf.get(bio) ?? []) parts.push(`. Hit by ${data.faultTexts[fault]}`);
  return `${parts.join('')}.`;
}
