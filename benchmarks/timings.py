"""Measurements of the stopwatch in this process. Imports nothing, as the command imports Lightning in its own way."""

timings: list[tuple[int, float]] = []  # steps and seconds of each training, examples and seconds of each test
plot_seconds: list[float] = []  # seconds after the last batch of each test
