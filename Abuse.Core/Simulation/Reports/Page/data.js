// What the page shows, out of its JSON: columns of numbers in seven bits a byte, and a few lists.
const started = performance.now();
const data = JSON.parse(document.getElementById('data').textContent);

// Numbers up to 2^53: more than seven bits at a time do not fit the operators on bits.
function readColumn(base64, count, Type) {
  const bytes = atob(base64);
  const values = new Type(count);
  for (let i = 0, at = 0; i < count; i++) {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = bytes.charCodeAt(at++);
      value += (byte & 127) * scale;
      if (byte < 128) break;
    }
    values[i] = value;
  }
  return values;
}

// Each number is what it is more or less than the one before.
function readChanges(base64, count, Type) {
  const values = readColumn(base64, count, Float64Array);
  const sums = new Type(count);
  for (let i = 0, sum = 0; i < count; i++) {
    const value = values[i];
    sum += value % 2 ? -(value + 1) / 2 : value / 2;
    sums[i] = sum;
  }
  return sums;
}

const OPS = ['read', 'write', 'flush', 'discard', 'zeroes'];
const FLUSH = 2;
const NO_ANSWER = 0;
const OK = 1;
const eventCount = data.events;
const events = {
  time: readChanges(data.time, eventCount, Float64Array),
  depth: readChanges(data.depth, eventCount, Float64Array),
  risk: readChanges(data.risk, eventCount, Float64Array),
};
const bioCount = data.bios;
const bios = {
  index: readChanges(data.index, bioCount, Int32Array),
  kind: readColumn(data.kind, bioCount, Uint8Array),
  result: readColumn(data.result, bioCount, Uint8Array),
  offset: readChanges(data.offset, bioCount, Float64Array).map(value => value * data.unit),
  length: readColumn(data.length, bioCount, Float64Array).map(value => value * data.unit),
  submitted: readChanges(data.submitted, bioCount, Int32Array),
  took: readColumn(data.took, bioCount, Int32Array),
  site: readColumn(data.site, bioCount, Int32Array),
};
const opOf = bio => bios.kind[bio] >> 1;
const isFua = bio => bios.kind[bio] % 2 === 1;
const isOpen = bio => bios.took[bio] === 0;
const isFailed = bio => bios.result[bio] !== OK && bios.result[bio] !== NO_ANSWER;
const submittedAt = bio => bios.submitted[bio];
const endOf = bio => isOpen(bio) ? eventCount - 1 : bios.submitted[bio] + bios.took[bio];

// From the numbers of the trace to places in these columns: bios that were taken back are not here.
function rowOf(index) {
  let low = 0;
  let high = bioCount;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (bios.index[middle] < index) low = middle + 1; else high = middle;
  }
  return low < bioCount && bios.index[low] === index ? low : -1;
}

const faultsOf = new Map();
data.faultBios.forEach((index, fault) => {
  const bio = index < 0 ? -1 : rowOf(index);
  if (bio >= 0) faultsOf.set(bio, [...faultsOf.get(bio) ?? [], fault]);
});
const lost = new Set((data.lost ?? []).map(rowOf));
const landed = new Set((data.landed ?? []).map(rowOf));
