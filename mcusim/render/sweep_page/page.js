
"use strict";
(() => {
  const PAGE = 100, MOST_CHOICES = 200;
  const at = (id) => document.getElementById(id);
  const made = (name, text, className) => {
    const element = document.createElement(name);
    if (text !== undefined) element.textContent = text;
    if (className) element.className = className;
    return element;
  };
  const { columns, count } = JSON.parse(at("document").textContent);
  const byKey = new Map(columns.map((column) => [column.key, column]));
  const told = (column) => (column.texts ? column.texts.some((one) => one !== "") : column.values.some((value) => value !== null));
  const differs = (column) => column.key === "network" || column.values.some((value) => value !== column.values[0]);
  const shownColumns = columns.filter((column) => told(column) && differs(column));
  const numbers = shownColumns.filter((column) => !column.texts);
  const texts = shownColumns.filter((column) => column.texts);
  const text = (column, row) => {
    const value = column.values[row];
    if (column.texts) return column.texts[value];
    return value === null ? "" : value.toLocaleString("en", { minimumFractionDigits: column.digits, maximumFractionDigits: column.digits });
  };

  const same = columns.filter((column) => told(column) && !differs(column)).map((column) => `${column.title}: ${text(column, 0)}`);
  at("same").textContent = same.length ? `alike in all rows: ${same.join("; ")}` : "";

  // What is asked for stands in the address after #, so that it can be kept and shared.
  const DEFAULTS = { words: "", sort: "", page: "0", front: "", x: "sram", y: "time" };
  let state = {};
  const read = () => {
    state = { ...DEFAULTS };
    for (const [key, value] of new URLSearchParams(location.hash.slice(1))) state[key] = value;
  };
  const keep = () => {
    const kept = Object.entries(state).filter(([key, value]) => value !== "" && value !== DEFAULTS[key]);
    history.replaceState(null, "", `#${new URLSearchParams(kept)}`);
  };

  // Controls
  const controls = new Map();
  for (const column of texts) {
    if (column.key === "error" || column.texts.length < 2 || column.texts.length > MOST_CHOICES) continue;
    const label = made("label", column.title), select = made("select");
    select.append(new Option("any", ""), ...column.texts.map((one) => new Option(one || "(none)", one || "(none)")));
    label.append(select);
    at("choices").append(label);
    controls.set(column.key, select);
  }
  for (const key of ["sram", "flash", "time", "energy"]) {
    const column = byKey.get(key);
    if (!numbers.includes(column)) continue;
    const label = made("label", column.title), input = made("input");
    input.type = "number"; input.min = "0"; input.step = "any"; input.inputMode = "decimal";
    label.append(input);
    at("limits").append(label);
    controls.set(`most-${key}`, input);
  }
  for (const id of ["across", "up"]) at(id).append(...numbers.map((column) => new Option(column.title, column.key)));
  controls.set("words", at("words")).set("x", at("across")).set("y", at("up"));
  const show = () => {
    for (const [key, control] of controls) control.value = state[key] ?? "";
    at("front").checked = state.front === "1";
  };

  // Rows that stay, in order
  const searched = columns.filter((column) => column.texts);
  const haystacks = searched.map((column) => column.texts.map((one) => one.toLowerCase()));
  const has = (row, word) => searched.some((column, place) => haystacks[place][column.values[row]].includes(word));
  const axis = (key) => numbers.find((column) => column.key === key) ?? numbers[0];
  const verdict = byKey.get("verdict");
  const filtered = () => {
    const words = state.words.toLowerCase().split(/\s+/).filter(Boolean);
    const tests = [];
    for (const column of texts) {
      if (!state[column.key]) continue;
      const place = column.texts.indexOf(state[column.key] === "(none)" ? "" : state[column.key]);
      tests.push((row) => column.values[row] === place);
    }
    for (const column of numbers) {
      const most = state[`most-${column.key}`] ? Number(state[`most-${column.key}`]) : NaN;
      if (!Number.isNaN(most)) tests.push((row) => column.values[row] !== null && column.values[row] <= most);
    }
    let rows = [];
    for (let row = 0; row < count; row += 1)
      if (tests.every((test) => test(row)) && words.every((word) => has(row, word))) rows.push(row);
    if (state.front === "1" && numbers.length) {
      const x = axis(state.x).values, y = axis(state.y).values;
      const sorted = rows.filter((row) => x[row] !== null && y[row] !== null).sort((a, b) => x[a] - x[b] || y[a] - y[b] || a - b);
      let least = Infinity;
      const best = new Set(sorted.filter((row) => y[row] < least && ((least = y[row]), true)));
      rows = rows.filter((row) => best.has(row));
    }
    const column = byKey.get(state.sort.replace(/^-/, ""));
    if (column) {
      const sign = state.sort.startsWith("-") ? -1 : 1;
      const order = column.texts ? rank(column) : null;
      const value = (row) => (order ? order[column.values[row]] : column.values[row]);
      rows.sort((a, b) => {
        const [p, q] = [value(a), value(b)];
        return p === null || q === null ? (p === null) - (q === null) : sign * (p - q) || a - b;
      });
    }
    return rows;
  };
  const rank = (column) => {
    const order = [];
    column.texts.map((one, place) => [one, place]).sort(([a], [b]) => (a < b ? -1 : 1)).forEach(([, place], index) => { order[place] = index; });
    return order;
  };

  // Table: a page of it at a time
  for (const column of shownColumns) {
    const head = made("th", undefined, column.texts ? "" : "number"), button = made("button", column.title);
    button.type = "button";
    head.scope = "col"; head.dataset.key = column.key;
    button.addEventListener("click", () => {
      state.sort = state.sort === column.key ? `-${column.key}` : column.key;
      state.page = "0";
      update();
    });
    head.append(button);
    at("heads").append(head);
  }
  const table = (rows) => {
    const pages = Math.max(Math.ceil(rows.length / PAGE), 1);
    const page = Math.min(Math.max(Math.trunc(Number(state.page)) || 0, 0), pages - 1);
    state.page = String(page);
    at("rows").replaceChildren(...rows.slice(page * PAGE, (page + 1) * PAGE).map((row) => {
      const line = made("tr");
      line.append(...shownColumns.map((column) => {
        const told = text(column, row);
        const cell = made("td", told, column.texts ? (column.key === "error" ? "error" : column.key === "verdict" ? told : "") : "number");
        if (column.key === "network") cell.title = told;
        return cell;
      }));
      return line;
    }));
    at("place").textContent = `page ${page + 1} of ${pages.toLocaleString("en")}`;
    at("before").disabled = page === 0;
    at("after").disabled = page === pages - 1;
    for (const head of at("heads").children) {
      const key = state.sort.replace(/^-/, "");
      head.setAttribute("aria-sort", head.dataset.key !== key ? "none" : state.sort.startsWith("-") ? "descending" : "ascending");
    }
  };

  // Picture: logarithmic where figures spread far
  let places = [];
  const scale = (values, from, to) => {
    let low = Infinity, high = -Infinity;
    for (const value of values) { low = Math.min(low, value); high = Math.max(high, value); }
    const isLog = low > 0 && high > 8 * low;
    const f = isLog ? Math.log : (v) => v;
    const [a, b] = [f(low), f(high)], pad = (b - a) * 0.04 || Math.abs(b) * 0.1 || 1;
    const place = (v) => from + ((f(v) - a + pad) / (b - a + 2 * pad)) * (to - from);
    const ticks = [];
    if (isLog) {
      const decades = Math.log10(high / low);
      for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high) + 1; power += 1)
        for (const digit of decades < 1.5 ? [1, 2, 5] : decades < 3 ? [1, 3] : [1]) ticks.push(digit * 10 ** power);
    } else {
      const rough = (high - low || 1) / 5, power = 10 ** Math.floor(Math.log10(rough));
      const step = power * ([1, 2, 5, 10].find((one) => one * power >= rough) ?? 10);
      for (let tick = Math.ceil(low / step) * step; tick <= high; tick += step) ticks.push(tick);
    }
    return { place, ticks: ticks.filter((tick) => tick >= low * 0.999 && tick <= high * 1.001) };
  };
  const draw = (rows) => {
    const canvas = at("plot"), ratio = window.devicePixelRatio || 1, context = canvas.getContext("2d");
    const { width, height } = canvas.getBoundingClientRect();
    canvas.width = width * ratio; canvas.height = height * ratio;
    context.scale(ratio, ratio);
    context.clearRect(0, 0, width, height);
    places = [];
    if (!numbers.length) return;
    const look = getComputedStyle(document.documentElement), color = (name) => look.getPropertyValue(name);
    const x = axis(state.x), y = axis(state.y);
    const drawn = rows.filter((row) => x.values[row] !== null && y.values[row] !== null);
    context.font = "12px system-ui, 'DejaVu Sans', sans-serif";
    context.fillStyle = color("--quiet");
    if (!drawn.length) { context.fillText("no row has both figures", 60, height / 2); return; }
    const left = 62, foot = height - 38;
    const across = scale(drawn.map((row) => x.values[row]), left, width - 8), up = scale(drawn.map((row) => y.values[row]), foot, 20);
    context.strokeStyle = color("--line");
    context.lineWidth = 1;
    const line = (x1, y1, x2, y2) => { context.beginPath(); context.moveTo(x1, y1); context.lineTo(x2, y2); context.stroke(); };
    const number = (value) => Number(value.toPrecision(6)).toLocaleString("en", { maximumFractionDigits: 6 });
    context.textAlign = "center";
    for (const tick of across.ticks) { line(across.place(tick), 20, across.place(tick), foot); context.fillText(number(tick), across.place(tick), foot + 14); }
    context.fillText(x.title, (left + width) / 2, height - 6);
    context.textAlign = "right";
    for (const tick of up.ticks) { line(left, up.place(tick), width - 8, up.place(tick)); context.fillText(number(tick), left - 5, up.place(tick) + 4); }
    context.textAlign = "left";
    context.fillText(y.title, 2, 12);
    const size = drawn.length > 2000 ? 1.5 : 3, colors = { fits: color("--fits"), "does-not-fit": color("--not"), unknown: color("--unknown") };
    context.globalAlpha = drawn.length > 2000 ? 0.55 : 0.85;
    for (const told of ["does-not-fit", "unknown", "fits"]) {
      context.fillStyle = context.strokeStyle = colors[told];
      for (const row of drawn) {
        if (text(verdict, row) !== told) continue;
        const [px, py] = [across.place(x.values[row]), up.place(y.values[row])];
        places.push([px, py, row]);
        if (told === "does-not-fit") { line(px - size, py - size, px + size, py + size); line(px - size, py + size, px + size, py - size); }
        else { context.beginPath(); context.arc(px, py, size, 0, 7); context.fill(); }
      }
    }
    context.globalAlpha = 1;
  };
  const tell = (event) => {
    const box = at("plot").getBoundingClientRect(), [px, py] = [event.clientX - box.left, event.clientY - box.top];
    let nearest = null, least = 200;
    for (const place of places) {
      const away = (place[0] - px) ** 2 + (place[1] - py) ** 2;
      if (away <= least) [nearest, least] = [place, away];
    }
    at("told").textContent = nearest === null ? "Point at a dot to see which answer it is. Dots fit, crosses do not."
      : ["network", "board", "runtime", "schedule", "verdict"].map((key) => text(byKey.get(key), nearest[2]))
        .concat([axis(state.x), axis(state.y)].map((column) => `${column.title}: ${text(column, nearest[2])}`)).join(" | ");
  };
  at("plot").addEventListener("pointermove", tell);
  at("plot").addEventListener("pointerdown", tell);

  let rows = [];
  const update = () => {
    rows = filtered();
    const fitting = rows.filter((row) => text(verdict, row) === "fits").length;
    at("shown").textContent = `${rows.length.toLocaleString("en")} of ${count.toLocaleString("en")} answers, ${fitting.toLocaleString("en")} of them fit`;
    table(rows);
    draw(rows);
    keep();
  };
  let waiting = 0;
  const changed = () => {
    for (const [key, control] of controls) state[key] = control.value;
    state.front = at("front").checked ? "1" : "";
    state.page = "0";
    clearTimeout(waiting);
    waiting = setTimeout(update, 80);
  };
  at("filters").addEventListener("input", changed);
  at("filters").addEventListener("submit", (event) => event.preventDefault());
  at("filters").addEventListener("reset", (event) => { event.preventDefault(); state = { ...DEFAULTS }; show(); update(); });
  const turn = (by) => { state.page = String(Number(state.page) + by); update(); };
  at("before").addEventListener("click", () => turn(-1));
  at("after").addEventListener("click", () => turn(1));
  window.addEventListener("hashchange", () => { read(); show(); update(); });
  window.addEventListener("resize", () => draw(rows));
  read();
  show();
  update();
})();
