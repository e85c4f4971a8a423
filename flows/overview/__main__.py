"""The pages with all that a project has to show, as a process of their own. Options are those of `python -m flows.web`.

python -m flows.overview --server http://127.0.0.1:8790 --port 8791
"""

import sys

from flows.overview.rows import Reader
from flows.project import environment
from flows.rollout import pages
from pipelines.errors import RatchetError


def main(arguments: list[str] | None = None) -> int:
    try:
        project = environment.prepare()
    except RatchetError as error:
        print(error, file=sys.stderr)
        return error.status
    return pages.serve(project, arguments, Reader(project))


if __name__ == "__main__":
    sys.exit(main())
