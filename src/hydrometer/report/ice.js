"use strict";
(() => {
  const PAGE = 20;
  const data = JSON.parse(document.getElementById("attempts").textContent);
  const find = (id) => document.getElementById(id);
  const form = find("filters");
  const list = find("list");
  const status = find("status");
  const blueprint = find("attempt").content.firstElementChild;
  const pagers = [...document.querySelectorAll(".pager")];
  let matches = data.rows;
  let page = 0;

  const number = (count) => count.toLocaleString("en");
  const unique = (values) => [...new Set(values)].sort((a, b) => a.localeCompare(b, "en"));

  function offer(name, choices) {
    const select = form.elements[name];
    for (const [value, text] of choices) select.append(new Option(text, value));
    select.closest("label").hidden = choices.length < (name === "maker" ? 1 : 2);
  }

  offer("subject", data.subjects.map((name, index) => [String(index), name]));
  for (const field of ["language", "category", "maker"]) {
    offer(field, unique(data.rows.map((row) => row[field]).filter(Boolean)).map((value) => [value, value]));
  }

  function haystack(row) {
    const { id, kind } = data.templates[row.template];
    row.text ??= [row.question, row.answer.join(""), row.maker, row.model, row.why, row.failure, id, kind]
      .join("\n").toLowerCase();
    return row.text;
  }

  const scored = (row, score) => row.scores.includes(score) || row.verdict === score;

  function keeps(row, chosen) {
    return (!chosen.subject || row.subject === Number(chosen.subject))
      && (!chosen.score || scored(row, chosen.score))
      && (!chosen.language || row.language === chosen.language)
      && (!chosen.category || row.category === chosen.category)
      && (!chosen.maker || row.maker === chosen.maker)
      && (!chosen.leading || String(row.leading) === chosen.leading)
      && (!chosen.search || haystack(row).includes(chosen.search));
  }

  function filter() {
    const chosen = Object.fromEntries(new FormData(form));
    chosen.search = chosen.search.trim().toLowerCase();
    matches = data.rows.filter((row) => keeps(row, chosen));
    page = 0;
    show();
  }

  function part(article, name, text) {
    const element = article.querySelector(`[data-part="${name}"]`);
    element.textContent = text;
    element.hidden = text === "";
    return element;
  }

  function mark(element, segments) {
    element.replaceChildren(...segments.map((text, index) => {
      if (index % 2 === 0) return document.createTextNode(text);
      const highlight = document.createElement("mark");
      highlight.textContent = text;
      return highlight;
    }));
  }

  const cut = (count, where) => (count ? `${number(count)} characters ${where} are left out here.` : "");

  function build(row) {
    const article = blueprint.cloneNode(true);
    const template = data.templates[row.template];
    article.classList.add(row.verdict);
    part(article, "number", `Row ${row.number}`);
    part(article, "subject", data.subjects[row.subject]);
    part(article, "verdict", data.verdicts[row.verdict] + (row.failure ? `: ${row.failure}` : ""));
    part(article, "claim", [row.maker, row.model].filter(Boolean).join(" · "));
    part(article, "place", `${row.category}, ${row.language}`);
    article.querySelector("[data-part=leading]").hidden = !row.leading;
    part(article, "question", row.question);
    part(article, "before", cut(row.before, "before this"));
    const answer = part(article, "answer", row.answer.join(""));
    mark(answer, row.answer);
    part(article, "after", cut(row.after, "after this"));
    part(article, "why", row.why);
    part(article, "template-name", [template.id, template.kind, template.lineage].filter(Boolean).join(" · "));
    part(article, "template", template.text);
    part(article, "template-after", cut(template.after, "after this"));
    return article;
  }

  /* A long answer scrolls in its box: the keyboard can reach it, and it opens at the claim. */
  function settle(answer) {
    if (answer.scrollHeight <= answer.clientHeight + 1) return;
    answer.classList.add("scrolls");
    answer.tabIndex = 0;
    answer.setAttribute("role", "region");
    answer.setAttribute("aria-label", "Answer, scrollable");
    const claim = answer.querySelector("mark");
    if (claim) answer.scrollTop = claim.offsetTop - answer.offsetTop - 48;
  }

  function show() {
    const pages = Math.max(1, Math.ceil(matches.length / PAGE));
    const start = page * PAGE;
    const rows = matches.slice(start, start + PAGE);
    list.replaceChildren(...rows.map(build));
    list.querySelectorAll("[data-part=answer]").forEach(settle);
    const of = `of ${number(data.rows.length)} attempts`;
    status.textContent = matches.length
      ? `${number(matches.length)} ${of} match; showing ${number(start + 1)} to ${number(start + rows.length)}.`
      : `None ${of} match. Choose fewer filters.`;
    for (const pager of pagers) {
      pager.hidden = pages === 1;
      pager.querySelector(".previous").disabled = page === 0;
      pager.querySelector(".next").disabled = page === pages - 1;
      pager.querySelector(".page").textContent = `Page ${number(page + 1)} of ${number(pages)}`;
    }
  }

  function turn(step) {
    page += step;
    show();
    find("results").focus();
    find("results").scrollIntoView();
  }

  for (const pager of pagers) {
    pager.querySelector(".previous").addEventListener("click", () => turn(-1));
    pager.querySelector(".next").addEventListener("click", () => turn(1));
  }

  let waiting = 0;
  form.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(filter, 120);
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(filter));

  /* Links beside the figures open the transcripts behind them. */
  for (const link of document.querySelectorAll("a[data-score]")) {
    link.addEventListener("click", () => {
      form.reset();
      for (const name of ["subject", "score", "maker"]) form.elements[name].value = link.dataset[name] ?? "";
      clearTimeout(waiting);
      setTimeout(filter);
    });
  }

  form.hidden = false;
  show();
})();
