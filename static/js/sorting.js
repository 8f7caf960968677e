// A table marked data-sortable is sorted by the heads of its columns, which become buttons: numbers the largest first,
// words by the alphabet, and the other way round when pressed again. What is missing stays at the end.

const words = new Intl.Collator(undefined, { numeric: true });

function valueOf(row, column) {
  const cell = row.cells[column];
  const text = cell.querySelector("time")?.dateTime ?? (cell.querySelector("b, strong, a") ?? cell).textContent.trim();
  if (cell.querySelector("time") || !cell.classList.contains("num")) return text === "–" ? "" : text;
  const number = Number.parseFloat(text.replaceAll(",", "").replace("−", "-").replace(/^[^\d-]+/, ""));
  return Number.isNaN(number) ? "" : number;
}

function compare(one, other) {
  if (one === "" || other === "") return (one === "") - (other === "");
  return typeof one === "number" ? one - other : words.compare(one, other);
}

function sort(table, head) {
  const turned = { ascending: "descending", descending: "ascending" }[head.ariaSort];
  const order = turned ?? (head.classList.contains("num") ? "descending" : "ascending");
  for (const each of table.tHead.rows[0].cells) each.ariaSort = each === head ? order : null;
  const [body, sign] = [table.tBodies[0], order === "ascending" ? 1 : -1];
  const rows = [...body.rows].map((row) => [valueOf(row, head.cellIndex), row]);
  rows.sort(([one], [other]) => (one === "" || other === "" ? compare(one, other) : sign * compare(one, other)));
  body.append(...rows.map(([, row]) => row));
}

for (const table of document.querySelectorAll("table[data-sortable]")) {
  for (const head of table.tHead.rows[0].cells) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "sorter";
    button.append(...head.childNodes);
    button.addEventListener("click", () => sort(table, head));
    head.append(button);
  }
}
