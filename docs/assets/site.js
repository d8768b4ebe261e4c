// Accessibility of the theme: names for the search dialog and the buttons of code blocks, and wide tables that the
// keyboard can scroll.
function improve() {
  document.querySelector(".md-search")?.setAttribute("aria-label", "Search")
  document.querySelectorAll(".md-code__nav").forEach((nav, index) => { nav.ariaLabel = `Code block ${index + 1}` })
  const boxes = document.querySelectorAll(".md-typeset__scrollwrap, pre > code, .md-typeset pre:not(:has(code))")
  boxes.forEach((box) => { box.tabIndex = 0 })
}
improve()
new MutationObserver(improve).observe(document.body, { childList: true, subtree: true })
