"""python -m flows.cli: the `ratchet` command, without its script."""

import sys

from flows.cli.app import main

sys.exit(main())
