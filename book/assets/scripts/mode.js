// Light or dark as the reader's system is, until the reader chooses; on paper always light.
// Without scripts a page stays as it was written: light.
{
  const page = document.documentElement;
  if ((localStorage.getItem("mode") ?? "auto") === "auto") {
    page.dataset.mode = "auto";
    page.dataset.theme = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  }
  let onScreen;
  addEventListener("beforeprint", () => {
    onScreen = page.dataset.theme;
    page.dataset.theme = "light";
  });
  addEventListener("afterprint", () => {
    page.dataset.theme = onScreen;
  });
}
