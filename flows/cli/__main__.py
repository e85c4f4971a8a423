"""python -m flows.cli: the `ratchet` command, without its script."""

from flows.cli.app import main

main()
