// Too many bios for a box each: how many there are in each cell of a grid, as a picture of one dot a cell.
const CELL = 2;

// Adds up what starts in a cell and takes off what ends before it, so that a bio costs four steps, however large.
function countCells(layout, seen, columns, rows) {
  const {area} = layout;
  const wide = columns + 1;
  const grids = OPS.map(() => null);
  for (const bio of seen) {
    const grid = grids[opOf(bio)] ??= new Int32Array(wide * (rows + 1));
    const box = boxOf(layout, bio);
    const left = Math.min(Math.max(Math.floor((box.x - area.left) / CELL), 0), columns - 1);
    const right = Math.min(Math.max(Math.ceil((box.x + box.width - area.left) / CELL), left + 1), columns);
    const top = Math.min(Math.max(Math.floor((box.y - area.top) / CELL), 0), rows - 1);
    const bottom = Math.min(Math.max(Math.ceil((box.y + box.height - area.top) / CELL), top + 1), rows);
    grid[top * wide + left]++;
    grid[top * wide + right]--;
    grid[bottom * wide + left]--;
    grid[bottom * wide + right]++;
  }
  for (const grid of grids) {
    if (grid === null) continue;
    for (let y = 0; y <= rows; y++) for (let x = 1; x <= columns; x++) grid[y * wide + x] += grid[y * wide + x - 1];
    for (let y = 1; y <= rows; y++) for (let x = 0; x <= columns; x++) grid[y * wide + x] += grid[(y - 1) * wide + x];
  }
  return grids;
}

// Where an operation's pattern has its ink: as in the boxes, writes are solid, reads chequered, discards hatched, zeroes dotted.
const INKED = [
  (x, y) => (x + y) % 2 === 0,
  () => true,
  () => true,
  (x, y) => (x + y) % 4 < 2,
  (x, y) => x % 3 === 0 && y % 3 === 0,
];

function parseColor(context, color) {
  context.fillStyle = color;
  const hex = context.fillStyle;
  return [1, 3, 5].map(at => parseInt(hex.slice(at, at + 2), 16));
}

// The last sheet, for as long as nothing changed that it shows.
let dense = {key: ''};

function drawDense(context, picture, layout, seen) {
  const {area} = layout;
  const key = [visible.key, picture.width, picture.height, colors.read].join();
  if (dense.key !== key) dense = {key, sheet: makeSheet(context, layout, seen)};
  context.imageSmoothingEnabled = false;
  context.drawImage(dense.sheet, area.left, area.top, dense.sheet.width * CELL, dense.sheet.height * CELL);
}

function makeSheet(context, layout, seen) {
  const {area} = layout;
  const columns = Math.max(1, Math.ceil(area.width / CELL));
  const rows = Math.max(1, Math.ceil(area.height / CELL));
  const grids = countCells(layout, seen, columns, rows);
  const most = grids.map(grid => grid === null ? 0 : grid.reduce((a, b) => Math.max(a, b), 0));
  const inks = OPS.map((_, op) => parseColor(context, opColor(op)));
  const image = new ImageData(columns, rows);
  for (let y = 0, at = 0; y < rows; y++) {
    for (let x = 0; x < columns; x++, at += 4) {
      let op = -1;
      let count = 0;
      for (let i = 0; i < OPS.length; i++) {
        const here = grids[i] === null ? 0 : grids[i][y * (columns + 1) + x];
        if (here > count) {
          op = i;
          count = here;
        }
      }
      if (op < 0) continue;
      const strength = 0.5 + 0.5 * Math.log(1 + count) / Math.log(1 + most[op]);
      [image.data[at], image.data[at + 1], image.data[at + 2]] = inks[op];
      image.data[at + 3] = 255 * strength * (INKED[op](x, y) ? 1 : 0.45);
    }
  }
  const sheet = document.createElement('canvas');
  sheet.width = columns;
  sheet.height = rows;
  sheet.getContext('2d').putImageData(image, 0, 0);
  return sheet;
}
