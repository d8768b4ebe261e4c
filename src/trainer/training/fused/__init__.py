"""Training of many runs with small networks of equal structure at once, with stacked weights."""
