"""`python -m trainer` is the command `trainer`; Lightning starts its further processes this way."""

from trainer.cli.main import main

main()
