// Accessibility of the theme: a name for the search dialog, and wide tables that the keyboard can scroll.
function improve() {
  document.querySelector(".md-search")?.setAttribute("aria-label", "Search")
  document.querySelectorAll(".md-typeset__scrollwrap, pre > code").forEach((box) => { box.tabIndex = 0 })
}
improve()
new MutationObserver(improve).observe(document.body, { childList: true, subtree: true })
