"use strict";
(() => {
  const PAGE = 50;
  const NEAREST = 12;
  const find = (id) => document.getElementById(id);
  const data = JSON.parse(find("data").textContent);
  const { models, pairs, verdicts } = data;
  const count = pairs.a.length;
  const number = (value) => value.toLocaleString("en");
  const decimal = (value, digits = 3) => (value === null ? "-" : value.toFixed(digits).replace("-", "−"));
  const range = (row) => (pairs.low[row] === null ? "-" : `[${decimal(pairs.low[row])}, ${decimal(pairs.high[row])}]`);
  const part = (element, name) => element.querySelector(`[data-part="${name}"]`);

  /* Relatives of one model */
  const choose = find("choose");
  const kin = find("kin");
  const rows = [...Array(count).keys()];
  /* Copies do not set the scale; they reach beyond it. */
  const scaling = rows.filter((row) => !pairs.clone[row]);
  const ends = [0, ...["low", "high", "residual"].flatMap((key) => scaling.map((row) => pairs[key][row])), ...(data.unrelated ?? [])].filter((end) => end !== null);
  const low = ends.reduce((a, b) => Math.min(a, b));
  const high = ends.reduce((a, b) => Math.max(a, b), 0.1);
  const at = (value) => `${Math.min(100, (100 * (value - low)) / (high - low)).toFixed(2)}%`;

  function bar(item, row) {
    const svg = item.querySelector("svg");
    const name = part(item, "name").textContent;
    svg.setAttribute("aria-label", `${name}: residual similarity ${decimal(pairs.residual[row])}, interval ${range(row)}`);
    const [band, zero, line, dot] = svg.children;
    if (data.unrelated) {
      band.setAttribute("x", at(data.unrelated[0]));
      band.setAttribute("width", `${(100 * (data.unrelated[1] - data.unrelated[0]) / (high - low)).toFixed(2)}%`);
    } else band.remove();
    for (const end of ["x1", "x2"]) zero.setAttribute(end, at(0));
    if (pairs.low[row] === null || pairs.clone[row]) line.remove();
    else {
      line.setAttribute("x1", at(pairs.low[row]));
      line.setAttribute("x2", at(pairs.high[row]));
    }
    dot.setAttribute("cx", at(pairs.residual[row]));
  }

  function relative(model, row) {
    const item = find("relative").content.firstElementChild.cloneNode(true);
    const other = pairs.a[row] === model ? pairs.b[row] : pairs.a[row];
    const verdict = verdicts[pairs.verdict[row]];
    item.classList.add(verdict.split(" ")[0]);
    part(item, "name").textContent = models[other];
    part(item, "residual").textContent = decimal(pairs.residual[row]);
    part(item, "interval").textContent = pairs.low[row] === null ? "" : range(row);
    part(item, "verdict").textContent = `${verdict}, p ${pairs.p[row].startsWith("<") ? "" : "= "}${pairs.p[row]}, ${number(pairs.prompts[row])} prompts${pairs.clone[row] ? "; nearly the same answers" : ""}`;
    bar(item, row);
    return item;
  }

  function mark(element, segments) {
    element.replaceChildren(...segments.map((text, index) => {
      if (index % 2 === 0) return document.createTextNode(text);
      const highlight = document.createElement("mark");
      highlight.textContent = text;
      return highlight;
    }));
  }

  function shared(one, model) {
    const article = find("shared").content.firstElementChild.cloneNode(true);
    const turned = one.b === model;
    const other = turned ? one.a : one.b;
    part(article, "title").textContent = `What ${models[model]} and ${models[other]} share`;
    part(article, "carried").textContent = one.carried;
    part(article, "carried").hidden = !one.carried;
    part(article, "prompt").textContent = one.asked;
    part(article, "phrases").textContent = one.phrases.length
      ? `Both write: ${one.phrases.join(" · ")}`
      : "No single rare phrase: they share many small habits here.";
    part(article, "first").textContent = models[model];
    part(article, "second").textContent = models[other];
    mark(part(article, "a"), turned ? one.second : one.first);
    mark(part(article, "b"), turned ? one.first : one.second);
    for (const answer of article.querySelectorAll(".answer")) {
      answer.tabIndex = 0;
      answer.setAttribute("role", "region");
      answer.setAttribute("aria-label", "Answer, scrollable");
    }
    return article;
  }

  function showRelatives() {
    const model = Number(choose.elements.model.value);
    const own = rows.filter((row) => pairs.a[row] === model || pairs.b[row] === model);
    const list = document.createElement("ul");
    list.className = "bars";
    list.append(...own.slice(0, NEAREST).map((row) => relative(model, row)));
    const note = document.createElement("p");
    note.className = "aside";
    const family = data.family[model] >= 0 ? `Family: ${data.families[data.family[model]]}. ` : "In no family. ";
    const band = data.unrelated ? " Shaded: the middle 95 % of pairs without a supported relation." : "";
    note.textContent = `${family}The nearest ${number(Math.min(NEAREST, own.length))} of ${number(models.length - 1)} other models. Filled: supported.${band}`;
    const behind = data.evidence.filter((one) => one.a === model || one.b === model);
    kin.replaceChildren(note, list, ...behind.map((one) => shared(one, model)));
  }

  function open(model) {
    choose.elements.model.value = String(model);
    showRelatives();
    find("relatives").scrollIntoView();
    find("relatives").focus({ preventScroll: true });
  }

  const byName = [...models.keys()].sort((a, b) => models[a].localeCompare(models[b], "en"));
  for (const model of byName) choose.elements.model.append(new Option(models[model], String(model)));
  if (count) choose.elements.model.value = String(pairs.a[0]);
  choose.addEventListener("input", showRelatives);
  choose.addEventListener("submit", (event) => event.preventDefault());
  choose.hidden = false;
  showRelatives();

  /* All pairs */
  const filters = find("filters");
  const status = find("status");
  const pager = document.querySelector(".pager");
  const lower = models.map((name) => name.toLowerCase());
  const keys = {
    a: (row) => lower[pairs.a[row]],
    b: (row) => lower[pairs.b[row]],
    order: (row) => (pairs.p[row] === "-" ? 2 : Number(pairs.p[row].replace("< ", ""))),
  };
  let sorted = { key: "residual", rising: false };
  let matches = rows;
  let page = 0;

  function select() {
    const words = filters.elements.search.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
    const verdict = filters.elements.verdict.value;
    const named = (row, word) => lower[pairs.a[row]].includes(word) || lower[pairs.b[row]].includes(word);
    matches = rows.filter((row) => (verdict === "" || pairs.verdict[row] === Number(verdict)) && words.every((word) => named(row, word)));
    const key = keys[sorted.key] ?? ((row) => pairs[sorted.key][row] ?? -Infinity);
    const values = new Map(matches.map((row) => [row, key(row)]));
    const sign = sorted.rising ? 1 : -1;
    const compare = (one, other) => (one < other ? -1 : one > other ? 1 : 0);
    if (sorted.key !== "residual" || sorted.rising) {
      matches.sort((one, other) => sign * compare(values.get(one), values.get(other)) || one - other);
    }
    page = 0;
    showPairs();
  }

  function cell(text, tag = "td") {
    const element = document.createElement(tag);
    element.textContent = text;
    if (tag === "th") element.scope = "row";
    return element;
  }

  function showPairs() {
    const pages = Math.max(1, Math.ceil(matches.length / PAGE));
    const start = page * PAGE;
    const shown = matches.slice(start, start + PAGE);
    find("rows").replaceChildren(...shown.map((row) => {
      const line = document.createElement("tr");
      line.append(
        cell(models[pairs.a[row]], "th"), cell(models[pairs.b[row]]), cell(decimal(pairs.residual[row])), cell(range(row)),
        cell(pairs.p[row]), cell(verdicts[pairs.verdict[row]]), cell(number(pairs.prompts[row])), cell(decimal(pairs.raw[row])),
      );
      return line;
    }));
    const of = `of ${number(count)} pairs`;
    status.textContent = matches.length
      ? `${number(matches.length)} ${of} match; showing ${number(start + 1)} to ${number(start + shown.length)}.`
      : `None ${of} match. Choose fewer filters.`;
    pager.hidden = pages === 1;
    pager.querySelector(".previous").disabled = page === 0;
    pager.querySelector(".next").disabled = page === pages - 1;
    pager.querySelector(".page").textContent = `Page ${number(page + 1)} of ${number(pages)}`;
  }

  for (const [index, verdict] of verdicts.entries()) filters.elements.verdict.append(new Option(verdict, String(index)));
  for (const button of document.querySelectorAll("button.sort")) {
    button.addEventListener("click", () => {
      const key = button.dataset.key;
      sorted = { key, rising: sorted.key === key ? !sorted.rising : ["a", "b", "order"].includes(key) };
      for (const head of document.querySelectorAll("th[aria-sort]")) head.removeAttribute("aria-sort");
      button.parentElement.setAttribute("aria-sort", sorted.rising ? "ascending" : "descending");
      select();
    });
  }
  const turn = (step) => { page += step; showPairs(); find("pairs").scrollIntoView(); };
  pager.querySelector(".previous").addEventListener("click", () => turn(-1));
  pager.querySelector(".next").addEventListener("click", () => turn(1));
  let waiting = 0;
  filters.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(select, 120); });
  filters.addEventListener("submit", (event) => event.preventDefault());
  filters.addEventListener("reset", () => setTimeout(select));
  filters.hidden = false;
  find("table").hidden = false;
  showPairs();

  /* Figures */
  const tip = find("tip");
  const tooltip = (_handler, event, _item, value) => {
    tip.hidden = value === null || value === undefined || value === "";
    if (tip.hidden) return;
    tip.textContent = Object.entries(value).map(([name, text]) => `${name}: ${text}`).join("\n");
    const left = Math.min(event.clientX + 14, window.innerWidth - tip.offsetWidth - 8);
    tip.style.left = `${Math.max(4, left)}px`;
    tip.style.top = `${Math.min(event.clientY + 14, window.innerHeight - tip.offsetHeight - 8)}px`;
  };

  function tableRows(columns) {
    const names = Object.keys(columns);
    return (columns[names[0]] ?? []).map((_, row) => Object.fromEntries(names.map((name) => [name, columns[name][row]])));
  }

  async function draw(place, figure) {
    const tables = Object.entries(figure.tables).map(([name, columns]) => [name, tableRows(columns)]);
    const spec = { ...figure.spec, datasets: Object.fromEntries(tables) };
    const drawn = document.createElement("div");
    drawn.className = "live-figure";
    drawn.hidden = true;
    place.append(drawn);
    const { view } = await window.vegaEmbed(drawn, spec, { mode: "vega-lite", renderer: "canvas", actions: false, ast: true, defaultStyle: false, tooltip });
    view.addEventListener("click", (_event, item) => {
      const name = item?.datum?.a ?? item?.datum?.full ?? item?.datum?.name;
      const model = models.indexOf(name);
      if (model >= 0) open(model);
    });
    drawn.hidden = false;
    place.dataset.drawn = "true";
  }

  const figures = new Map(JSON.parse(find("specs").textContent).map((figure) => [figure.name, figure]));
  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      seen.unobserve(entry.target);
      draw(entry.target, figures.get(entry.target.dataset.figure));
    }
  }, { rootMargin: "400px" });
  const sized = new ResizeObserver((entries) => {
    for (const { target } of entries) target.parentElement.querySelector(".swipe").hidden = target.scrollWidth <= target.clientWidth;
  });
  for (const place of document.querySelectorAll("[data-figure]")) {
    place.classList.add("live");
    seen.observe(place);
    sized.observe(place);
  }
})();
