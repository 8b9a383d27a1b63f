"use strict";
const missing = /^(|–|nan|nat|none|<na>)$/i;
const numeric = /^([+-]?(?:[\d,]*\.?\d+(?:e[+-]?\d+)?|∞|inf))(?=$|\s|%)/i;
const words = new Intl.Collator("en", { numeric: true });
const FIRST = 25, MORE = 500;

function element(name, text, properties) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(text);
  return made;
}

function valueOf(row, column) {
  const cell = row.cells[column];
  return cell.dataset.v ?? (cell.title || cell.textContent.trim());
}

function sorted(rows, column, direction) {
  const present = rows.filter(row => !missing.test(valueOf(row, column)));
  const numbers = present.every(row => numeric.test(valueOf(row, column)));
  const read = value => numbers
    ? Number(numeric.exec(value)[1].replaceAll(",", "").replace(/inf|∞/i, "Infinity")) : value;
  const keyed = present.map(row => [read(valueOf(row, column)), row]);
  keyed.sort(([a], [b]) => direction * (numbers ? a - b || 0 : words.compare(a, b)));
  return [...keyed.map(([, row]) => row), ...rows.filter(row => missing.test(valueOf(row, column)))];
}

function makeSortable(table, sort) {
  const head = table.tHead, columns = table.tBodies[0].rows[0].cells.length;
  const headings = Array.from({ length: columns }, (_, column) => {
    const stacked = [...head.rows].map(row => row.cells[column]);
    return stacked.findLast(th => th.textContent.trim()) ?? stacked[0];
  });
  headings.forEach((th, column) => {
    const button = element("button", "", { type: "button" });
    if (!th.textContent.trim()) button.setAttribute("aria-label", "row");
    button.append(...th.childNodes);
    th.append(button);
    th.scope = "col";
    button.addEventListener("click", () => {
      const direction = th.ariaSort === "ascending" ? "descending" : "ascending";
      headings.forEach(other => other.removeAttribute("aria-sort"));
      th.ariaSort = direction;
      sort(column, direction === "ascending" ? 1 : -1);
    });
  });
}

for (const table of document.querySelectorAll("table")) {
  const body = table.tBodies[0];
  if (!body || !table.tHead || body.rows.length < 2 || table.querySelector("[rowspan], [colspan]")) continue;
  makeSortable(table, (column, direction) => body.append(...sorted([...body.rows], column, direction)));
}

// Only some of the orders are in the document at a time; the others wait in the text that a page without scripts shows.
const kept = document.querySelector("#orders noscript");
if (kept) {
  const holder = document.createElement("template"), tools = document.querySelector(".tools");
  const field = name => tools.querySelector(`[name=${name}]`);
  holder.innerHTML = kept.textContent;
  const table = holder.content.querySelector("table"), body = table.tBodies[0], more = document.querySelector(".more");
  const all = [...body.rows];
  let order = all, shown = FIRST;
  const choices = [["outcome", 1], ["source", 2], ["type", 3]];
  for (const [name, column] of choices) {
    const values = [...new Set(all.map(row => row.cells[column].textContent))].sort(words.compare);
    field(name).append(element("option", "all", { value: "" }), ...values.map(value => element("option", value, { value })));
  }
  function render() {
    const wanted = field("search").value.trim().toLowerCase();
    const chosen = choices.filter(([name]) => field(name).value);
    const found = order.filter(row => row.cells[0].textContent.toLowerCase().includes(wanted)
      && chosen.every(([name, column]) => row.cells[column].textContent === field(name).value));
    body.replaceChildren(...found.slice(0, shown));
    more.hidden = found.length <= shown;
    tools.querySelector("output").value = `${Math.min(shown, found.length)} of ${found.length} orders shown`;
  }
  makeSortable(table, (column, direction) => { order = sorted(all, column, direction); render(); });
  tools.addEventListener("input", () => { shown = FIRST; render(); });
  more.addEventListener("click", () => { shown += MORE; render(); });
  tools.hidden = false;
  render();  // before the table is in the document: to insert all rows and take most out again would double the time
  kept.replaceWith(table);
}

for (const code of document.querySelectorAll(".code .highlight")) {
  const copy = element("button", "Copy", { type: "button", className: "copy" });
  copy.addEventListener("click", async () => {
    await navigator.clipboard.writeText(code.querySelector("pre").textContent);
    copy.textContent = "Copied";
  });
  code.append(copy);
}
const folded = [...document.querySelectorAll(".code")], unfold = document.querySelector(".unfold");
unfold.hidden = !folded.length;
unfold.addEventListener("click", () => {
  const open = unfold.getAttribute("aria-pressed") !== "true";
  folded.forEach(code => { code.open = open; });
  unfold.setAttribute("aria-pressed", open);
});
let closed = [];
addEventListener("beforeprint", () => {
  closed = folded.filter(code => !code.open);
  closed.forEach(code => { code.open = true; });
});
addEventListener("afterprint", () => closed.forEach(code => { code.open = false; }));
