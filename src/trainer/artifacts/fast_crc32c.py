"""Faster checksums for TensorBoard records, from a C library."""


def install_fast_crc32c() -> None:
    """Make TensorBoard in this process compute checksums with `google_crc32c`; the results are equal.

    TensorBoard's Python code takes 90 ns a byte: 8 microseconds for a row of numbers, 27 ms for an image of 300 kB.
    """
    import google_crc32c
    from tensorboard.compat.tensorflow_stub import pywrap_tensorflow

    pywrap_tensorflow.crc32c = google_crc32c.value
