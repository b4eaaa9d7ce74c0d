"use strict";
(async () => {
  const $ = (id) => document.getElementById(id);
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const asked = new URLSearchParams(location.hash.slice(1));
  const wide = matchMedia("(min-width: 40rem)");
  const setTheme = (name) => { root.dataset.theme = name; };
  setTheme(asked.get("theme") || (dark.matches ? "dark" : "light"));

  for (const button of document.querySelectorAll(".copy")) {
    button.setAttribute("aria-label", "copy " + button.previousSibling.textContent);
    button.addEventListener("click", async () => {
      const text = button.previousSibling.textContent;
      try { await navigator.clipboard.writeText(text); } catch {
        const area = document.createElement("textarea");
        area.value = text; document.body.append(area); area.select();
        document.execCommand("copy"); area.remove();
      }
      const label = button.getAttribute("aria-label");
      button.textContent = "copied";
      button.setAttribute("aria-label", "copied");
      setTimeout(() => {
        button.textContent = "copy";
        button.setAttribute("aria-label", label);
      }, 1500);
    });
  }

  // What is chosen is in the address, so a section must not take its place.
  for (const link of document.querySelectorAll("main a, nav a")) {
    link.addEventListener("click", (event) => {
      event.preventDefault();
      document.querySelector(link.getAttribute("href")).scrollIntoView();
    });
  }

  // A click on a column's name sorts by it; numbers by value, "never" and n/a last.
  const valueOf = (row, column) => {
    const text = row.cells[column].textContent.trim();
    const found = parseFloat(text.replace(/[<≤≥~] ?/, "").replaceAll(",", ""));
    return Number.isNaN(found) ? text : found;
  };
  const compare = (a, b, up) => {
    if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
    return (a < b ? -1 : a > b ? 1 : 0) * (up ? 1 : -1);
  };
  for (const table of document.querySelectorAll("table.sortable")) {
    [...table.tHead.rows[0].cells].forEach((cell, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = cell.textContent;
      cell.replaceChildren(button);
      button.addEventListener("click", () => {
        const up = cell.getAttribute("aria-sort") !== "ascending";
        for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
        cell.setAttribute("aria-sort", up ? "ascending" : "descending");
        const rows = [...table.tBodies[0].rows];
        const of = (row) => valueOf(row, column);
        rows.sort((a, b) => compare(of(a), of(b), up));
        table.tBodies[0].append(...rows);
      });
    });
  }

  // A table that is wider than the page says so, until its end is seen.
  for (const box of document.querySelectorAll(".scroll")) {
    const hint = document.createElement("p");
    hint.className = "more";
    hint.textContent = "more columns \u2192";
    hint.setAttribute("aria-hidden", "true");
    box.before(hint);
    const look = () => {
      const left = box.scrollWidth - box.clientWidth - box.scrollLeft;
      hint.hidden = box.scrollWidth <= box.clientWidth + 1;
      hint.classList.toggle("seen", left < 2);
    };
    box.addEventListener("scroll", look, { passive: true });
    new ResizeObserver(look).observe(box);
  }

  const unpack = async (id) => {
    const bytes = Uint8Array.from(atob($(id).textContent), (c) => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream();
    return new Response(stream.pipeThrough(new DecompressionStream("gzip"))).text();
  };
  if (!("DecompressionStream" in window)) {
    $("no-charts").hidden = false;
    for (const id of ["controls", "legend"]) $(id).hidden = true;
    return;
  }
  const data = JSON.parse(await unpack("packed-data"));

  for (const button of document.querySelectorAll(".download")) {
    button.addEventListener("click", () => {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([data.downloads[button.dataset.name]]));
      link.download = button.dataset.name;
      link.click();
      URL.revokeObjectURL(link.href);
    });
  }

  const code = document.createElement("script");
  code.textContent = await unpack("packed-plotly");
  document.head.append(code);

  for (const split of data.splits) $("split").add(new Option(split, split));
  data.smoothing.forEach((ema, i) =>
    $("smoothing").add(new Option(ema ? `average, ${ema} an evaluation` : "none", i)));
  const select = (id, value) => {
    if ([...$(id).options].some((o) => o.value === value)) $(id).value = value;
  };
  select("split", data.report);
  select("smoothing", String(data.smoothing.length - 1));
  for (const id of ["task", "split", "smoothing"]) select(id, asked.get(id) || "");
  for (const id of ["logx", "logy", "bands"])
    if (asked.has(id)) $(id).checked = asked.get(id) === "1";
  const hidden = new Set((asked.get("hidden") || "").split(",").filter(Boolean));

  const remember = () => {
    const state = new URLSearchParams();
    for (const id of ["task", "split", "smoothing"]) state.set(id, $(id).value);
    for (const id of ["logx", "logy", "bands"]) state.set(id, $(id).checked ? "1" : "0");
    state.set("hidden", [...hidden].join(","));
    state.set("theme", root.dataset.theme);
    history.replaceState(null, "", "#" + state);
  };

  // Text of a line's colour, as much nearer to that of text as it takes to be read.
  const colorOfText = (hex) => {
    const parts = (text) => [1, 3, 5].map((i) => parseInt(text.slice(i, i + 2), 16));
    const of = parts(hex), to = parts(ink());
    return `rgb(${of.map((v, i) => Math.round(0.65 * v + 0.35 * to[i])).join(",")})`;
  };
  const ink = () => getComputedStyle(root).getPropertyValue("--ink").trim();
  const colorOf = (name) => data.sets[name].color;
  const labelOf = (name) => data.sets[name].label;
  // Charts read tags in text; names are text.
  const plain = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  const inChart = (name) => plain(labelOf(name));
  const dashOf = (name) =>
    ({ solid: "solid", dashed: "dash", dotted: "dot", dashdot: "dashdot" })[data.sets[name].dash];
  const faint = (name) => {
    const hex = colorOf(name).replace("#", "");
    const [r, g, b] = [0, 2, 4].map((i) => parseInt(hex.slice(i, i + 2), 16));
    return `rgba(${r},${g},${b},0.14)`;
  };
  const task = () => data.tasks.find((t) => t.name === $("task").value);
  const shown = () => task().order.filter((name) => !hidden.has(name));

  // On a phone a long title of the axis has two lines.
  const broken = (title) => {
    if (wide.matches || title.length <= 36) return title;
    const before = title.lastIndexOf(" ", Math.ceil(title.length / 2));
    return before < 0 ? title : `${title.slice(0, before)}<br>${title.slice(before + 1)}`;
  };
  const layout = (x, y, more = {}) => {
    const css = getComputedStyle(root);
    const line = css.getPropertyValue("--line").trim();
    const axis = { gridcolor: line, zerolinecolor: line, automargin: true };
    return {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { color: ink(), family: "system-ui, sans-serif", size: wide.matches ? 13 : 11 },
      margin: { l: 10, r: 10, t: 10, b: 10, ...(more.margin || {}) },
      showlegend: false, hovermode: "closest", hoverlabel: { namelength: -1 },
      annotations: more.annotations || [],
      xaxis: { ...axis, title: { text: broken(x) }, ...(more.xaxis || {}) },
      yaxis: { ...axis, title: { text: y }, ...(more.yaxis || {}) },
      shapes: more.shapes || [],
    };
  };
  const plot = (id, traces, look) =>
    Plotly.react(id, traces, look, { displayModeBar: false, responsive: true });
  const draw = (id, traces, look) => $(id) && plot(id, traces, look);

  // Places as near as can be to those wanted, a gap apart and between 0 and a height.
  const apart = (wanted, gap, height) => {
    const order = wanted.map((_, i) => i).sort((a, b) => wanted[a] - wanted[b]);
    // What has to be a gap apart has to be in order once the gaps are taken out.
    const blocks = [];
    order.forEach((i, place) => {
      let block = { at: wanted[i] - gap * place, count: 1 };
      while (blocks.length && blocks[blocks.length - 1].at > block.at) {
        const before = blocks.pop(), count = before.count + block.count;
        block = { at: (before.at * before.count + block.at * block.count) / count, count };
      }
      blocks.push(block);
    });
    const places = [];
    let place = 0;
    for (const { at, count } of blocks)
      for (let i = 0; i < count; i++, place++) {
        const last = height - gap * (order.length - 0.5);
        places[order[place]] = Math.min(Math.max(at, gap / 2), last) + gap * place;
      }
    return places;
  };
  // Names where lines end: on wide pages, in a quarter of the width, near the ends.
  const nameEnds = (id, traces, look) => {
    const chart = $(id), size = 12, gap = 1.3 * size;
    // A line that ends before the others do has no name; the list above has it.
    const last = Math.max(...traces.map((t) => t.x[t.x.length - 1]));
    const named = traces.filter((t) => {
      const end = t.y[t.y.length - 1];
      return end !== null && t.x[t.x.length - 1] === last;
    });
    const room = 0.6 * size * Math.max(0, ...named.map((t) => t.label.length)) + 30;
    if (!wide.matches || !named.length || room > chart.clientWidth / 4) return look;
    const { yaxis } = chart._fullLayout, height = yaxis._length;
    const at = named.map((t) => {
      const pixel = yaxis.c2p(t.y[t.y.length - 1]);
      return Number.isFinite(pixel) ? Math.min(pixel, height) : height;
    });
    if (at.some((pixel) => pixel < 0) || named.length * gap > height) return look;
    const places = apart(at, gap, height);
    if (places.some((place, i) => Math.abs(place - at[i]) > 4.5 * gap)) return look;
    const annotations = named.map((t, i) => ({
      xref: "paper", x: 1, yref: "paper", y: 1 - at[i] / height, ax: 18,
      ay: places[i] - at[i], text: plain(t.label), xanchor: "left", showarrow: true,
      arrowhead: 0, arrowwidth: 1, arrowcolor: t.line.color, standoff: 1,
      font: { color: colorOfText(t.line.color), size }, borderpad: 0,
    }));
    return { ...look, annotations, margin: { ...look.margin, r: room } };
  };
  const drawNamed = async (id, traces, look) => {
    if (!$(id)) return;
    // Where lines end, in pixels, is known once they are drawn.
    await plot(id, traces, look);
    const lines = traces.filter((t) => t.label && t.x.length);
    if (lines.length) await plot(id, traces, nameEnds(id, lines, look));
  };

  const band = (name, x, low, high) => ({
    x: [...x, ...[...x].reverse()], y: [...high, ...[...low].reverse()],
    fill: "toself", fillcolor: faint(name), line: { width: 0 }, mode: "lines",
    hoverinfo: "skip", connectgaps: false,
  });
  // A band that has gaps is one piece for each stretch without.
  const bands = (name, x, low, high) => {
    const pieces = [];
    let start = null;
    for (let i = 0; i <= x.length; i++) {
      const there = i < x.length && low[i] !== null && high[i] !== null;
      if (there && start === null) start = i;
      if (!there && start !== null) {
        const part = (values) => values.slice(start, i);
        if (i - start > 1) pieces.push(band(name, part(x), part(low), part(high)));
        start = null;
      }
    }
    return pieces;
  };
  const line = (name, x, y, more = {}) => ({
    x, y, name: inChart(name), label: labelOf(name), mode: "lines", line: { color: colorOf(name), dash: dashOf(name), width: 2 },
    hovertemplate: "%{y:.4f} at %{x}<extra>%{fullData.name}</extra>", ...more,
  });
  // The beginning is far above the rest: it does not decide the range.
  const lossRange = (curves, log) => {
    const late = curves.flatMap(({ x, y }) => {
      const values = y.filter((v, i) => v !== null && x[i] >= 0.1 * x[x.length - 1]);
      return values.length ? [values] : [];
    });
    if (!late.length) return {};
    const low = Math.min(...late.map((v) => Math.min(...v)));
    const tops = late.map((v) => Math.max(...v)).sort((a, b) => a - b);
    const reach = low + 3 * (tops[Math.floor((tops.length - 1) / 2)] - low);
    const high = Math.max(...tops.filter((t) => t <= reach), tops[0]);
    const margin = 0.05 * (high - low) || 0.05 * Math.abs(high) || 1;
    if (!log) return { range: [low - margin, high + margin] };
    return low > 0 ? { range: [Math.log10(low * 0.98), Math.log10(high * 1.02)] } : {};
  };

  const drawCurves = () => {
    const split = $("split").value, level = Number($("smoothing").value);
    const curves = shown().map((name) => [name, task().sets[name].curves[split][level]]);
    const traces = [];
    if ($("bands").checked)
      for (const [name, c] of curves) traces.push(...bands(name, c.bx, c.lo, c.hi));
    for (const [name, c] of curves)
      traces.push(line(name, c.x, c.y, { name: plain(`${labelOf(name)}: ${task().sets[name].config}`) }));
    const logy = $("logy").checked;
    drawNamed("curves", traces, layout("updates", `${split} loss`, {
      xaxis: { type: $("logx").checked ? "log" : "linear" },
      yaxis: { type: logy ? "log" : "linear", ...lossRange(curves.map(([, c]) => c), logy) },
    }));
  };
  const drawSensitivity = () => {
    const traces = [], all = [];
    for (const name of shown()) {
      const s = task().sets[name].sensitivity;
      if (!s) continue;
      if ($("bands").checked) traces.push(...bands(name, s.lr, s.low, s.high));
      traces.push(line(name, s.lr, s.loss, {
        mode: "lines+markers",
        hovertemplate: "%{y:.4f} at learning rate %{x}<extra>%{fullData.name}</extra>" }));
      const losses = s.loss.filter((v) => v !== null).sort((a, b) => a - b);
      if (losses.length) all.push(losses);
    }
    const low = Math.min(...all.map((l) => l[0]));
    const middles = all.map((l) => l[Math.floor(l.length / 2)]).sort((a, b) => a - b);
    const high = middles[Math.floor(middles.length / 2)];
    const margin = 0.06 * (high - low) || 1;
    $("sensitivity").closest("figure").hidden = !all.length;
    if (!all.length) return;
    draw("sensitivity", traces, layout("learning rate", `final ${data.report} loss`, {
      xaxis: { type: "log", exponentformat: "power", dtick: 1,
        range: ratesInSight(high + margin) },
      yaxis: { range: [low - margin, high + margin] } }));
  };
  // The rates whose loss is in range, and those next to them: no empty decades.
  const ratesInSight = (highest) => {
    const lows = [], highs = [];
    for (const name of shown()) {
      const s = task().sets[name].sensitivity;
      const known = s ? s.lr.map((_, i) => i).filter((i) => s.loss[i] !== null) : [];
      const seen = known.filter((i) => s.loss[i] <= highest);
      if (!seen.length) continue;
      lows.push(s.lr[Math.max(seen[0] - 1, known[0])]);
      highs.push(s.lr[Math.min(seen[seen.length - 1] + 1, known[known.length - 1])]);
    }
    const low = Math.log10(Math.min(...lows)), high = Math.log10(Math.max(...highs));
    const space = Math.max(0.04 * (high - low), 0.04);
    return [low - space, high + space];
  };
  // Sets that vary more than one number: colours over two of them.
  const drawSearches = () => {
    const names = shown().filter((name) => task().sets[name].search);
    $("searches").hidden = !names.length;
    for (const old of $("searches").querySelectorAll(".chart")) Plotly.purge(old);
    $("searches").querySelectorAll("figure").forEach((figure) => figure.remove());
    for (const name of names) {
      const { across, up, loss, best } = task().sets[name].search;
      const figure = document.createElement("figure"), chart = document.createElement("div");
      const caption = document.createElement("figcaption");
      chart.className = "chart search";
      chart.setAttribute("role", "group");
      chart.setAttribute("aria-label", `Final loss of ${name} over ${across.name} and ${up.name}`);
      figure.append(chart, caption);
      $("searches").append(figure);
      const known = loss.map((_, i) => i).filter((i) => loss[i] !== null);
      // The best are drawn last, above the others.
      known.sort((a, b) => loss[b] - loss[a]);
      const failed = loss.map((_, i) => i).filter((i) => loss[i] === null);
      caption.textContent = `${name}: final ${data.report} loss of ${loss.length} configurations` +
        `; star: the best${failed.length ? `; ×: ${failed.length} with a diverged seed` : ""}.` +
        " What is worse than the median has the last colour.";
      const at = (values, of) => of.map((i) => values[i]);
      const dot = (of, more) => ({ x: at(across.values, of), y: at(up.values, of),
        mode: "markers", hoverinfo: "skip", ...more });
      const sorted = at(loss, known).reverse();
      const traces = [dot(known, {
        hoverinfo: undefined, text: at(loss, known),
        hovertemplate: "%{text} at " + `${across.name} %{x}, ${up.name} %{y}<extra></extra>`,
        marker: { size: 10, color: at(loss, known), colorscale: "Viridis",
          cmin: sorted[0], cmax: sorted[Math.floor(sorted.length / 2)],
          line: { color: ink(), width: 0.5 },
          colorbar: { thickness: 12, title: { text: "loss" }, outlinewidth: 0 } } }),
      dot(failed, { marker: { symbol: "x-thin", size: 7, line: { color: ink(), width: 1 } } })];
      if (best !== null) traces.push(dot([best], { marker: { symbol: "star", size: 16,
        color: "#ffffff", line: { color: "#000000", width: 1.2 } } }));
      const axis = (one) => ({ type: one.log ? "log" : "linear", zeroline: false,
        ...(one.log ? { exponentformat: "power", dtick: 1 } : {}) });
      plot(chart, traces, layout(across.name, up.name, { xaxis: axis(across), yaxis: axis(up) }));
    }
  };
  // On an axis of what is above the lowest loss that any set is expected to reach.
  // `spent`: how much of what `what` says one configuration takes.
  const drawTuning = (id, what, spent) => {
    if (!$(id)) return;
    const every = task().order.flatMap((name) => task().sets[name].tuning.loss);
    const lowest = Math.min(...every.filter((v) => v !== null));
    const excess = (values) => values.map((v) => (v === null ? null : v - lowest));
    const seen = shown().flatMap((name) => excess(task().sets[name].tuning.loss));
    const positive = seen.filter((v) => v > 0);
    const top = Math.max(...positive);
    // Three decades at most: what is closer is a tie.
    const floor = positive.length ? Math.max(Math.min(...positive) / 2, top / 1000) : 1;
    // A line that reaches the lowest leaves the axes below.
    const clipped = (values) => values.map((v) => (v === null ? null : Math.max(v, floor / 10)));
    const traces = [];
    let least = Infinity, most = 0;
    for (const name of shown()) {
      const t = task().sets[name].tuning;
      const x = t.k.map((k) => k * spent(t));
      const part = (values) => clipped(excess(values));
      // So wide are these bands that more of them would hide the lines.
      if ($("bands").checked && shown().length <= 3)
        traces.push(...bands(name, x, part(t.low), part(t.high)));
      const known = t.loss.filter((v) => v !== null);
      traces.push(line(name, x, part(t.loss), {
        mode: known.length > 1 ? "lines" : "markers", customdata: t.loss,
        hovertemplate: "%{customdata:.4f} after %{x}<extra>%{fullData.name}</extra>" }));
      least = Math.min(least, x[0]);
      most = Math.max(most, x[x.length - 1], 1.5 * x[0]);
    }
    if (!most) [least, most] = [1, 1.5];
    const ticks = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9].flatMap((e) => [1, 2, 5].map((m) => m * 10 ** e))
      .filter((x) => x >= least && x <= most);
    const title = `expected final ${data.report} loss` + (Number.isFinite(lowest) ?
      `,<br>above the lowest, ${lowest.toPrecision(4)}` : "");
    drawNamed(id, traces, layout(what, title, {
      xaxis: { type: "log", tickvals: ticks, range: [Math.log10(least), Math.log10(most)] },
      yaxis: { type: "log", dtick: 1, exponentformat: "power",
        ...(positive.length ? { range: [Math.log10(floor), Math.log10(top * 1.3)] } : {}) } }));
  };
  const drawProfile = (id, profile, what) => {
    if (!profile || !$(id)) return;
    const traces = shown().filter((name) => name in profile.share).map((name) =>
      line(name, profile.tau, profile.share[name], {
        line: { color: colorOf(name), dash: dashOf(name), width: 2, shape: "hv" } }));
    drawNamed(id, traces, layout(`${what} to the target, over those of the fastest set`, "share of tasks", {
      xaxis: { type: "log", tickvals: [1, 1.5, 2, 3, 4] }, yaxis: { range: [-0.03, 1.03] } }));
  };
  const drawScores = () => {
    if (!$("scores")) return;
    const rows = data.scores.filter((s) => s.score[0] !== null).reverse();
    const off = (i, s) => (s.score[i] === null ? 0 : Math.abs(s.score[i] - s.score[0]));
    $("scores").style.height = `${5 + 1.6 * rows.length}rem`;
    const values = rows.flatMap((s) => s.score.filter((v) => v !== null));
    const sorted = rows.map((s) => s.score[0]).sort((a, b) => a - b);
    const least = Math.max(Math.min(...values), sorted[Math.floor(sorted.length / 2)] - 1);
    const pad = 0.05 * (Math.max(...values) - least) || 0.05;
    draw("scores", [{
      x: rows.map((s) => s.score[0]), y: rows.map((s) => inChart(s.set)), mode: "markers",
      marker: { size: 9, color: rows.map((s) => colorOf(s.set)) },
      error_x: { type: "data", symmetric: false, array: rows.map((s) => off(2, s)),
        arrayminus: rows.map((s) => off(1, s)), color: ink(), thickness: 1.5, width: 3 },
      hovertemplate: "%{x:.3f}<extra>%{y}</extra>",
    }], layout("score", "", {
      xaxis: { range: [least - pad, Math.max(...values) + pad] },
      shapes: [{ type: "line", x0: 1, x1: 1, yref: "paper", y0: 0, y1: 1,
        line: { color: ink(), dash: "dot", width: 1 } }] }));
  };

  // How much worse each set is than the best other one: left of 0 it is the best.
  const drawForest = (id, forest) => {
    if (!$(id)) return;
    const rows = forest ? forest.rows.filter((r) => r.difference !== null) : [];
    $(id).closest("figure").hidden = !rows.length;
    if (!rows.length) return;
    $(id).style.height = `${5.5 + 1.6 * rows.length}rem`;
    const lows = rows.map((r) => r.low ?? r.difference), highs = rows.map((r) => r.high ?? r.difference);
    const bound = forest.tolerance ?? 0;
    const least = Math.min(...lows, -bound);
    // A set that is far worse must not flatten the others: it is an arrow at the edge.
    const sorted = [...highs].sort((a, b) => a - b);
    const reach = least + 3 * (Math.max(sorted[Math.floor((sorted.length - 1) / 2)], bound) - least);
    const most = Math.max(bound, ...highs.filter((v) => v <= reach));
    const pad = 0.05 * (most - least) || 0.05, right = most + pad;
    const beyond = (r) => r.difference > right;
    const off = (r, end) => (end === null || beyond(r) ? 0 : Math.abs(end - r.difference));
    const css = getComputedStyle(root);
    const shapes = [{ type: "line", x0: 0, x1: 0, yref: "paper", y0: 0, y1: 1,
      line: { color: ink(), dash: "dot", width: 1 } }];
    if (bound) shapes.unshift({ type: "rect", x0: -bound, x1: bound, yref: "paper", y0: 0, y1: 1,
      layer: "below", line: { width: 0 }, fillcolor: css.getPropertyValue("--line").trim(), opacity: 0.5 });
    plot(id, [{
      x: rows.map((r) => (beyond(r) ? right : r.difference)),
      y: rows.map((r) => inChart(r.set)), mode: "markers", cliponaxis: false,
      marker: { size: 9, color: rows.map((r) => colorOf(r.set)),
        line: { width: rows.map((r) => (r.is_out ? 0 : 1.5)), color: ink() },
        symbol: rows.map((r) => beyond(r) ? "triangle-right" :
          r.low === null ? "circle-open" : r.is_out ? "x" : "circle") },
      error_x: { type: "data", symmetric: false, array: rows.map((r) => off(r, r.high)),
        arrayminus: rows.map((r) => off(r, r.low)), color: ink(), thickness: 1.2, width: 3 },
      customdata: rows.map((r) => `${r.difference}` +
        (r.low === null ? "" : ` (${r.low} to ${r.high})`) + (r.is_out ? ", out" : "")),
      hovertemplate: "%{customdata}<extra>%{y}</extra>",
    }], layout(forest.axis, "", { xaxis: { range: [least - pad, right], zeroline: false },
      yaxis: { autorange: "reversed", type: "category" }, shapes }));
  };

  const drawLegend = () => {
    $("entries").replaceChildren(...task().order.map((name) => {
      const label = document.createElement("label");
      const box = document.createElement("input");
      box.type = "checkbox"; box.checked = !hidden.has(name); box.value = name;
      box.addEventListener("change", () => {
        if (box.checked) hidden.delete(name); else hidden.add(name);
        drawCharts();
      });
      const dashes = { solid: "", dashed: "7 4", dotted: "2 3", dashdot: "7 3 2 3" };
      label.append(box);
      label.insertAdjacentHTML("beforeend",
        `<svg width="28" height="8" aria-hidden="true"><line x1="0" x2="28" y1="4" y2="4" ` +
        `stroke="${colorOf(name)}" stroke-width="3" stroke-dasharray="${dashes[data.sets[name].dash]}"/></svg>`);
      label.append(labelOf(name));
      label.title = name;
      return label;
    }));
  };
  const drawCharts = () => {
    drawCurves(); drawSensitivity(); drawSearches();
    drawTuning("tuning", "configurations tried", () => 1);
    drawTuning("tuning-updates", "updates of the configurations tried", (t) => t.steps);
    drawProfile("profile", data.profile, "updates");
    drawProfile("profile-seconds", data.profile_seconds, "seconds");
    remember();
  };
  const drawAbsent = () => {
    $("absent").hidden = task().left_out.length === 0;
    $("absent").replaceChildren(...task().left_out.map((text) => {
      const item = document.createElement("li");
      item.textContent = text;
      return item;
    }));
  };
  const drawForests = () => {
    drawForest("forest", data.forest);
    drawForest("task-forest", task().forest);
  };
  const drawAll = () => { drawLegend(); drawAbsent(); drawScores(); drawForests(); drawCharts(); };

  for (const id of ["split", "smoothing", "logx", "logy", "bands"])
    $(id).addEventListener("change", drawCharts);
  $("task").addEventListener("change", drawAll);
  $("controls").addEventListener("submit", (event) => event.preventDefault());
  $("all").addEventListener("click", () => { hidden.clear(); drawAll(); });
  $("none").addEventListener("click", () => {
    for (const name of task().order) hidden.add(name);
    drawAll();
  });
  $("theme").addEventListener("click", () => {
    setTheme(root.dataset.theme === "dark" ? "light" : "dark");
    drawAll();
  });
  dark.addEventListener("change", () => { setTheme(dark.matches ? "dark" : "light"); drawAll(); });
  wide.addEventListener("change", drawAll);
  drawAll();
  document.body.dataset.ready = "yes";

  if (document.body.dataset.version) {
    setInterval(async () => {
      try {
        const now = await (await fetch("version")).text();
        if (now !== document.body.dataset.version) location.reload();
        const lines = await (await fetch("progress")).json();
        $("progress").hidden = lines.length === 0;
        $("progress").querySelector("ul").replaceChildren(...lines.map((text) => {
          const item = document.createElement("li");
          item.textContent = text;
          return item;
        }));
      } catch { /* The server is gone: the page stays as it is. */ }
    }, 2000);
  }
})();
