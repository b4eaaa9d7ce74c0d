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
    const found = parseFloat(text.replace(/[<≤] ?/, "").replaceAll(",", ""));
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

  const ink = () => getComputedStyle(root).getPropertyValue("--ink").trim();
  // Black stands for the colour of text.
  const colorOf = (name) =>
    data.sets[name].color === "#000000" ? ink() : data.sets[name].color;
  const dashOf = (name) =>
    ({ solid: "solid", dashed: "dash", dotted: "dot", dashdot: "dashdot" })[data.sets[name].dash];
  const faint = (name) => {
    const hex = colorOf(name).replace("#", "");
    const [r, g, b] = [0, 2, 4].map((i) => parseInt(hex.slice(i, i + 2), 16));
    return `rgba(${r},${g},${b},0.14)`;
  };
  const task = () => data.tasks.find((t) => t.name === $("task").value);
  const shown = () => task().order.filter((name) => !hidden.has(name));

  const layout = (x, y, more = {}) => {
    const css = getComputedStyle(root);
    const line = css.getPropertyValue("--line").trim();
    const axis = { gridcolor: line, zerolinecolor: line, automargin: true };
    return {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { color: ink(), family: "system-ui, sans-serif", size: wide.matches ? 13 : 11 },
      margin: { l: 10, r: 10, t: 10, b: 10 }, showlegend: false, hovermode: "closest",
      hoverlabel: { namelength: -1 },
      xaxis: { ...axis, title: { text: x }, ...(more.xaxis || {}) },
      yaxis: { ...axis, title: { text: y }, ...(more.yaxis || {}) },
      shapes: more.shapes || [],
    };
  };
  const draw = (id, traces, look) =>
    $(id) && Plotly.react(id, traces, look, { displayModeBar: false, responsive: true });

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
    x, y, name, mode: "lines", line: { color: colorOf(name), dash: dashOf(name), width: 2 },
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
      traces.push(line(name, c.x, c.y, { name: `${name}: ${task().sets[name].config}` }));
    const logy = $("logy").checked;
    draw("curves", traces, layout("updates", `${split} loss`, {
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
    draw("sensitivity", traces, layout("learning rate", `final ${data.report} loss`, {
      xaxis: { type: "log", exponentformat: "power" },
      yaxis: all.length ? { range: [low - margin, high + margin] } : {} }));
  };
  const drawTuning = () => {
    const traces = [], ends = [], starts = [];
    for (const name of shown()) {
      const t = task().sets[name].tuning;
      // So wide are these bands that more of them would hide the lines.
      if ($("bands").checked && shown().length <= 3) traces.push(...bands(name, t.k, t.low, t.high));
      const known = t.loss.filter((v) => v !== null);
      traces.push(line(name, t.k, t.loss, { mode: known.length > 1 ? "lines" : "markers" }));
      if (known.length) { ends.push(known[known.length - 1]); starts.push(known[0]); }
    }
    starts.sort((a, b) => a - b);
    const low = Math.min(...ends), high = starts[Math.floor(starts.length / 2)];
    const margin = 0.06 * (high - low) || 1;
    draw("tuning", traces, layout("configurations tried", `expected final ${data.report} loss`, {
      xaxis: { type: "log" },
      yaxis: ends.length ? { range: [low - margin, high + margin] } : {} }));
  };
  const drawProfile = () => {
    if (!data.profile) return;
    const traces = shown().filter((name) => name in data.profile.share).map((name) =>
      line(name, data.profile.tau, data.profile.share[name], {
        line: { color: colorOf(name), dash: dashOf(name), width: 2, shape: "hv" } }));
    draw("profile", traces, layout("times the updates of the fastest", "share of tasks", {
      xaxis: { type: "log" }, yaxis: { range: [-0.03, 1.03] } }));
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
      x: rows.map((s) => s.score[0]), y: rows.map((s) => s.set), mode: "markers",
      marker: { size: 9, color: rows.map((s) => colorOf(s.set)) },
      error_x: { type: "data", symmetric: false, array: rows.map((s) => off(2, s)),
        arrayminus: rows.map((s) => off(1, s)), color: ink(), thickness: 1.5, width: 3 },
      hovertemplate: "%{x:.3f}<extra>%{y}</extra>",
    }], layout("score", "", {
      xaxis: { range: [least - pad, Math.max(...values) + pad] },
      shapes: [{ type: "line", x0: 1, x1: 1, yref: "paper", y0: 0, y1: 1,
        line: { color: ink(), dash: "dot", width: 1 } }] }));
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
      label.append(name);
      return label;
    }));
  };
  const drawCharts = () => {
    drawCurves(); drawSensitivity(); drawTuning(); drawProfile();
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
  const drawAll = () => { drawLegend(); drawAbsent(); drawScores(); drawCharts(); };

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
