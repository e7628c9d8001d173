// What the theme leaves open on its pages.

// The arrows beside the chapters that have pages of their own say what they open.
for (const arrow of document.querySelectorAll(".toctree-toggle")) {
  const chapter = arrow.closest("li").querySelector("a").textContent.trim();
  arrow.parentElement.setAttribute("aria-label", `Pages of ${chapter}`);
}

// A find is shown with the text around it, not with the contents that only paper has.
if (typeof Search !== "undefined") {
  const htmlToText = Search.htmlToText;
  Search.htmlToText = (html, anchor) => {
    const page = new DOMParser().parseFromString(html, "text/html");
    page.getElementById("jb-print-docs-body")?.remove();
    return htmlToText(page.documentElement.outerHTML, anchor);
  };
}
