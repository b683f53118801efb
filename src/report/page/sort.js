// A click on a heading sorts its table by that column, a second one the other way round.
for (const button of document.querySelectorAll("th button")) {
  button.addEventListener("click", () => {
    const heading = button.parentElement, row = heading.parentElement, body = row.closest("table").tBodies[0];
    const column = [...row.children].indexOf(heading);
    // Names begin with the first, numbers with the largest.
    const up = heading.getAttribute("aria-sort") === "descending" || (column === 0 && !heading.hasAttribute("aria-sort"));
    for (const other of row.children) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", up ? "ascending" : "descending");
    const value = (line) => line.children[column].dataset.value ?? line.children[column].textContent;
    const order = (a, b) => {
      const [x, y] = [value(a), value(b)];
      const difference = isNaN(x) || isNaN(y) ? x.localeCompare(y) : x - y;
      return up ? difference : -difference;
    };
    body.append(...[...body.rows].sort(order));
  });
}
