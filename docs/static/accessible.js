// What the theme lacks for those who read with a keyboard or a screen reader.
for (const caption of document.querySelectorAll("p.caption[role=heading]")) caption.setAttribute("aria-level", 2);
for (const [drawer, name] of [[".sidebar-drawer", "Pages"], [".toc-drawer", "On this page"]])
  document.querySelector(drawer)?.setAttribute("aria-label", name);
for (const code of document.querySelectorAll("pre")) code.tabIndex = 0;
for (const cell of document.querySelectorAll("th:empty")) cell.replaceWith(document.createElement("td"));
