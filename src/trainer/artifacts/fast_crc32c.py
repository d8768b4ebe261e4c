"""The checksum of TensorBoard's records, by a library in C in place of TensorBoard's own Python."""


def quicken() -> None:
    """Let TensorBoard's writers and readers in this process sum records with `google_crc32c`, to the same sums.

    Their own way takes 90 nanoseconds a byte: 8 microseconds for a row of numbers, 27 milliseconds for a picture of
    300 kB.
    """
    import google_crc32c
    from tensorboard.compat.tensorflow_stub import pywrap_tensorflow

    pywrap_tensorflow.crc32c = google_crc32c.value
