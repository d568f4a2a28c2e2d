// Draws what is in #report-data. All numbers were computed when the page was written; nothing is computed here.
(() => {
  "use strict";
  const page = JSON.parse(document.getElementById("report-data").textContent);
  const byId = (id) => document.getElementById(id);
  const config = (id) => ({
    displaylogo: false,
    responsive: true,
    displayModeBar: page.bars.includes(id) ? false : "hover",
    modeBarButtonsToRemove: ["lasso2d", "select2d", "autoScale2d", "sendChartToCloud"],
    plotlyServerURL: "",
    toImageButtonOptions: { format: "svg", filename: id },
  });

  function element(name, text, className) {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    if (className) made.className = className;
    return made;
  }

  function row(cells) {
    const made = element("tr");
    made.append(...cells);
    return made;
  }

  // Name | baseline | selected (| against the baseline); what differs from the baseline stands out.
  function fillRows(body, names, baseline, selected, against) {
    body.replaceChildren(...names.map((name, i) => {
      const cells = [element("th", name), element("td", baseline[i], "number")];
      cells.push(element("td", selected[i], selected[i] === baseline[i] ? "number" : "number changed"));
      if (against) cells.push(element("td", against[i], "number"));
      return row(cells);
    }));
  }

  // One column a layer; two rows a quantity, the baseline's and the selected design's.
  function fillLayers(table, baseline, selected) {
    const names = baseline.layers.names.length >= selected.layers.names.length ? baseline.layers.names : selected.layers.names;
    const head = element("thead");
    head.append(row([element("th", "Layer"), element("th", ""), ...names.map((name) => element("th", name))]));
    const body = element("tbody");
    const quantities = [...new Set([...baseline.layers.rows, ...selected.layers.rows].map((r) => r[0]))];
    const valuesOf = (design, quantity) => Object.fromEntries(design.layers.rows)[quantity] ?? [];
    for (const quantity of quantities) {
      const own = valuesOf(baseline, quantity);
      const other = valuesOf(selected, quantity);
      const cell = (value, changed) => element("td", value ?? "–", changed ? "changed" : "");
      body.append(row([element("th", quantity), element("td", "baseline"), ...names.map((_, i) => cell(own[i], false))]));
      body.append(row([element("th", ""), element("td", "selected"), ...names.map((_, i) => cell(other[i], other[i] !== own[i]))]));
    }
    table.replaceChildren(head, body);
  }

  function redrawCharts(baseline, selected) {
    for (const chart of page.stacked) {
      const [own, ownShares] = baseline.charts[chart.id];
      const [other, otherShares] = selected.charts[chart.id];
      Plotly.update(
        chart.id,
        { x: own.map((value, i) => [value, other[i]]), text: ownShares.map((share, i) => [share, otherShares[i]]) },
        { "yaxis.ticktext": [`Baseline<br>${baseline[chart.total]}`, `Design ${selected.id}<br>${selected[chart.total]}`] },
      );
    }
    for (const id of page.by_layer) {
      const both = [baseline, selected].map((design) => design.charts[id]);
      Plotly.restyle(id, {
        x: [page.places[baseline.run], page.places[selected.run]],
        y: both.map(([values]) => values),
        text: both.map(([, shares]) => shares),
        name: ["Baseline", `Design ${selected.id}`],
      });
    }
  }

  function select(key) {
    const selected = page.designs[key];
    const baseline = page.designs[page.baselines[selected.run]];
    byId("selected-name").textContent = `Design ${selected.id}`;
    byId("selected-name").dataset.id = selected.id;
    byId("selected-notes").textContent = [page.runs[selected.run], ...selected.notes].filter(Boolean).join(" · ");
    byId("baseline-size").textContent = baseline.size;
    byId("selected-size").textContent = selected.size;
    const first = (cells) => cells.map((cell) => cell[0]);
    fillRows(byId("metrics"), page.metric_names, first(baseline.values), first(selected.values), selected.values.map((cell) => cell[1]));
    fillRows(byId("accelerator"), page.accelerator_names, baseline.accelerator, selected.accelerator);
    fillLayers(byId("layers"), baseline, selected);
    redrawCharts(baseline, selected);
    const [x, y] = selected.point;
    Plotly.restyle("front", { x: [[x]], y: [[y]] }, [page.ring]);
    for (const button of document.querySelectorAll("button[data-key]")) {
      button.setAttribute("aria-pressed", String(button.dataset.key === key));
    }
    for (const line of document.querySelectorAll("tr[data-key]")) {
      line.classList.toggle("selected", line.dataset.key === key);
    }
  }

  function showShares(button) {
    const shares = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(shares));
    for (const chart of page.stacked) {
      Plotly.relayout(chart.id, {
        barnorm: shares ? "percent" : "",
        "xaxis.title.text": shares ? `Share of ${chart.total} (%)` : chart.axis,
        "xaxis.autorange": true,
      });
    }
  }

  function sortTable(header) {
    const table = header.closest("table");
    const column = [...header.parentNode.children].indexOf(header);
    const descending = header.getAttribute("aria-sort") === "ascending";
    for (const other of header.parentNode.children) other.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", descending ? "descending" : "ascending");
    const value = (line) => line.children[column].dataset.value ?? line.children[column].textContent;
    const compare = (a, b) => {
      const [x, y] = [value(a), value(b)];
      const difference = header.classList.contains("number") ? Number(x) - Number(y) : x.localeCompare(y);
      return descending ? -difference : difference;
    };
    const body = table.tBodies[table.tBodies.length - 1];
    body.append(...[...body.rows].sort(compare));
  }

  for (const header of document.querySelectorAll("th button")) {
    header.addEventListener("click", () => sortTable(header.parentNode));
  }
  if (!page.selected) {
    document.body.dataset.ready = "true";
    return;
  }
  const drawn = Object.entries(page.figures).map(([id, figure]) => Plotly.newPlot(id, figure.data, figure.layout, config(id)));
  Promise.all(drawn).then(() => {
    byId("front").on("plotly_click", (event) => {
      const key = event.points.map((point) => point.customdata).find(Boolean);
      if (key) select(key);
    });
    for (const target of document.querySelectorAll("button[data-key], tr[data-key]")) {
      target.addEventListener("click", () => select(target.dataset.key));
    }
    byId("shares").addEventListener("click", (event) => showShares(event.currentTarget));
    select(page.selected);
    document.body.dataset.ready = "true";
  });
  const resize = () => Object.keys(page.figures).forEach((id) => Plotly.Plots.resize(id));
  window.addEventListener("beforeprint", resize);
  window.addEventListener("afterprint", resize);
})();
