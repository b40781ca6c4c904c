
"use strict";
(() => {
  const all = (selector, root = document) => Array.from(root.querySelectorAll(selector));
  document.documentElement.classList.add("script");

  // Tables: a click or Enter on a title sorts by it, numbers first from the largest; once more turns the order.
  const value = (row, column) => {
    const cell = row.cells[column];
    const exact = cell.dataset.value;
    if (exact === undefined) return cell.textContent.trim().toLowerCase();
    return exact === "" ? null : Number(exact);
  };
  const compare = (a, b) => (typeof a === "number" ? a - b : a < b ? -1 : a > b ? 1 : 0);
  const sort = (table, head) => {
    const column = head.cellIndex;
    const isNumber = head.classList.contains("number");
    const before = head.getAttribute("aria-sort");
    const order = before === "none" ? (isNumber ? "descending" : "ascending") : before === "ascending" ? "descending" : "ascending";
    all("thead th[aria-sort]", table).forEach((other) => other.setAttribute("aria-sort", other === head ? order : "none"));
    const sign = order === "ascending" ? 1 : -1;
    const body = table.tBodies[0];
    const keyed = Array.from(body.rows, (row) => [value(row, column), row]);
    keyed.sort(([a], [b]) => (a === null || b === null ? (a === null) - (b === null) : sign * compare(a, b)));
    body.append(...keyed.map(([, row]) => row));
  };
  for (const table of all("table.sortable"))
    for (const head of all("thead th[aria-sort]", table)) head.querySelector("button").addEventListener("click", () => sort(table, head));

  // Layers: rows that hold every word, and are of the operator.
  const [find, op, only, silent, shown] = ["find", "op", "only", "silent", "shown"].map((id) => document.getElementById(id));
  const rows = Array.from(document.getElementById("layer-table").tBodies[0].rows);
  const texts = new Map(rows.map((row) => [row, `${row.textContent} ${row.querySelector("th").title}`.toLowerCase()]));
  const filter = () => {
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const row of rows) {
      const isMarked = row.classList.contains("peak") || row.classList.contains("heavy");
      const stays =
        (silent.checked || !row.classList.contains("silent")) &&
        (!only.checked || isMarked) &&
        (!op.value || row.dataset.op === op.value) &&
        words.every((word) => texts.get(row).includes(word));
      row.hidden = !stays;
      count += stays;
    }
    shown.textContent = `${count} of ${rows.length} nodes`;
  };
  for (const control of [find, op, only, silent]) control.addEventListener("input", filter);
  find.form.addEventListener("submit", (event) => event.preventDefault());
  filter();

  // Pictures: what is under the pointer is told below them.
  for (const figure of all("figure")) {
    const told = figure.querySelector(".told");
    const tell = (event) => {
      const title = event.target.closest("rect, circle")?.querySelector("title");
      told.textContent = title ? title.textContent : told.dataset.still;
    };
    figure.addEventListener("pointerover", tell);
    figure.addEventListener("pointerdown", tell);
  }
})();
