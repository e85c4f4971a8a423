"""python -m flows.cli: the `ratchet` command, without its script."""

from flows.cli.entry import main

main()
