"""python -m flows.schedule PARALLEL: the scheduler, which Ctrl-C ends without a traceback while it still imports."""

import sys


def main(parallel: str) -> None:
    try:
        from flows.schedule import serve

        serve.main(parallel)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main(*sys.argv[1:])
