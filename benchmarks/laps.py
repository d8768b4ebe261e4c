"""What stopwatches have noted in this process. Imports nothing: the command is to import Lightning in its own way."""

laps: list[tuple[int, float]] = []  # of each training: its steps and seconds; of each test: examples and seconds
drawn: list[float] = []  # of each test: the seconds after its last batch
