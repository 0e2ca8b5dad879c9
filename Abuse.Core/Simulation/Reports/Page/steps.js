// What changes by steps: bios in flight, bytes at risk. Where many events share a column of the screen, what there was between least and most.
function stepPicture(id, values, most, text, what) {
  let cursor = -1;
  const isBytes = what === 'at risk';

  function scaleOf() {
    if (isBytes) return 2 ** Math.ceil(Math.log2(Math.max(most, 4096) / 4));
    return Math.max(1, roundStep(Math.max(most, 1), 4));
  }

  const picture = addPicture(id, (context, self) => {
    const area = areaOf(self, 12);
    const step = scaleOf();
    const top = Math.max(step, Math.ceil(most / step) * step);
    const yAt = value => area.bottom - value / top * area.height;
    for (let value = 0; value <= top; value += step) {
      context.fillStyle = colors.grid;
      context.fillRect(area.left, Math.round(yAt(value)), area.width, 1);
      sideLabel(context, area, text(value), Math.min(yAt(value), area.bottom - 4));
    }
    drawTimeAxis(context, self, area);
    clipTo(context, area);
    drawSteps(context, area, yAt);
    drawMoments(context, area);
    context.restore();
    drawCrash(context, area, false);
    drawCursor(context, area, yAt);
  });

  function drawSteps(context, area, yAt) {
    const color = isBytes ? colors.write : colors.read;
    const from = Math.max(0, firstEvent(view.from) - 1);
    const outline = [];
    let event = from;
    let value = from === 0 && placeOf(0) > view.from ? 0 : values[from] ?? 0;
    const columns = Math.ceil(area.width);
    for (let column = 0; column <= columns; column++) {
      const end = view.from + (column + 1) / columns * (view.to - view.from);
      let low = value;
      let high = value;
      while (event < eventCount && placeOf(event) < end) {
        value = values[event++];
        low = Math.min(low, value);
        high = Math.max(high, value);
      }
      outline.push([area.left + column, low, high, value]);
    }
    context.fillStyle = color;
    context.globalAlpha = 0.22;
    for (const [x, , high] of outline) context.fillRect(x, yAt(high), 1, area.bottom - yAt(high));
    context.globalAlpha = 1;
    for (const [x, low, high] of outline) context.fillRect(x, yAt(high) - 1, 1, Math.max(2, yAt(low) - yAt(high) + 2));
  }

  // Faults as crosses above a line; flushes, which end a risk, as triangles.
  function drawMoments(context, area) {
    let last = -Infinity;
    if (isBytes) {
      for (let bio = 0; bio < bioCount; bio++) {
        if (opOf(bio) !== FLUSH || isOpen(bio) || isFailed(bio)) continue;
        const x = xOf(area, placeOf(endOf(bio)));
        if (x < area.left - 5 || x > area.right + 5 || x - last < APART) continue;
        last = x;
        drawShape(context, colors.flush, [[x - 4, area.top], [x + 4, area.top], [x, area.top + 8]]);
      }
    }
    last = -Infinity;
    for (const [bio] of [...faultsOf].sort((a, b) => a[0] - b[0])) {
      const x = xOf(area, placeOf(submittedAt(bio)));
      if (x < area.left - 5 || x > area.right + 5 || x - last < APART) continue;
      last = x;
      context.fillStyle = colors.bad;
      context.globalAlpha = faultsOf.size < 100 ? 0.4 : 0;
      context.fillRect(x - 0.5, area.top, 1, area.height);
      context.globalAlpha = 1;
      drawCross(context, x, area.top + 14, 4, colors.bad);
    }
  }

  function drawCursor(context, area, yAt) {
    if (cursor < 0) return;
    const x = xOf(area, placeOf(cursor));
    if (x < area.left || x > area.right) return;
    context.fillStyle = colors.focus;
    context.fillRect(x - 1, area.top, 2, area.height);
    context.beginPath();
    context.arc(x, yAt(values[cursor]), 5, 0, 2 * Math.PI);
    context.fill();
  }

  function tell(event) {
    cursor = event;
    document.getElementById(`${id}-detail`).textContent = `${momentText(event)}: ${text(values[event])} ${what}.`;
    redraw([picture]);
  }

  function move(by) {
    let event = cursor < 0 ? firstEvent(view.from) - (by > 0 ? 1 : 0) : cursor;
    const before = values[Math.max(event, 0)];
    do event += by; while (event > 0 && event < eventCount - 1 && values[event] === before && cursor >= 0);
    event = Math.min(Math.max(event, 0), eventCount - 1);
    reveal(placeOf(event), placeOf(event));
    tell(event);
  }

  onKeys(picture.place, {
    ArrowRight: () => eventCount && move(1),
    ArrowLeft: () => eventCount && move(-1),
    Home: () => eventCount && (reveal(placeOf(0), placeOf(0)), tell(0)),
    End: () => eventCount && (reveal(placeOf(eventCount - 1), placeOf(eventCount - 1)), tell(eventCount - 1)),
  });
  onPointer(picture, () => areaOf(picture, 12), place => eventCount && tell(Math.min(Math.max(firstEvent(place + 1e-9) - 1, 0), eventCount - 1)));
}
