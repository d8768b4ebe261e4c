"""Entry point of `python -m trainer`, which Lightning uses to start further processes."""

from trainer_command import main

main()
