"""Is `ratchet run` safe from faults? Disturbs it, runs it again and compares: python benchmarks/faults.py

    --seed N         of the random moments (printed; default 1)
    --random N       how many moments (default 60)
    --from N         go on with case N, where an earlier part stopped; what that found is kept
    --minutes N      stop after so many, and say where to go on (default 28)
    --model NAME     digits, long or elsewhere; more than once for several (default: all)
    --only TEXT      the cases whose name holds this: "%" the random ones, "term", "no room", "disk"
    --list           the cases with their numbers, and nothing else

Everything happens in a copy of this folder's files in a temporary folder. Subjects: `digits` as it is; `long`, a
training that its two rules about the validation loss shape and end; and `elsewhere`, digits on a machine that is not
the one that dvc.lock comes from. Each subject runs once undisturbed. Then, each time from nothing, `ratchet run
digits` is disturbed, at a random moment or at a named point of the program (faults/points.py), and run again to its
end. It is killed (SIGKILL), and with it the process that reaches the point; or gets SIGTERM or Ctrl-C in one of its
steps; or one of its writes finds no room; or, as root, a whole disk is full from there on. Every second run starts
again at once, the others when nothing of the one before is left.

What the second run leaves must equal what the undisturbed one left: files, dvc.lock, git, MLflow's run, version and
alias. It may repeat no finished stage and no finished epoch, wait for no lock, and leave nothing "running". A run that
was not killed must have said in one paragraph what happened, and have left nothing "running" by itself.

Prints a line for each case, a table of this seed and one of all nights (faults/nights.py). Exit status 1 if a fault was
not survived.
"""

import argparse
import random
import signal
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from faults import disks, nights, points
from faults.points import Case
from faults.survival import survive
from faults.world import World, prepare

SUBJECTS = ("digits", "long", "elsewhere")


def chosen(subjects: list[str], number: int, seed: int) -> list[Case]:
    """Every case in the order of its number, the first being 1: the same for the same seed on every machine."""
    cases = [*points.named(), *points.stopped(), *points.without_room()]
    cases += points.moments(["digits", "long"], number, random.Random(seed))
    cases += points.disks() if disks.possible() else []
    cases = [case for case in cases if case.subject in subjects]
    return [replace(case, at_once=case.at_once or bool(index % 2)) for index, case in enumerate(cases)]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--random", type=int, default=60)
    parser.add_argument("--from", type=int, default=1, dest="first")
    parser.add_argument("--minutes", type=float, default=28)
    parser.add_argument("--model", nargs="+", choices=SUBJECTS, default=list(SUBJECTS))
    parser.add_argument("--only", default="")
    parser.add_argument("--list", action="store_true")
    return parser.parse_args()


def main() -> int:
    asked, start = arguments(), time.monotonic()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background of a shell it is ignored, also by runs
    every = list(enumerate(chosen(asked.model, asked.random, asked.seed), 1))
    cases = [(number, case) for number, case in every if number >= asked.first and asked.only in case.name]
    if asked.list:
        print("\n".join(f"{number:>3} {case.subject:<9} {case.name}" for number, case in cases))
        return 0
    if not cases:
        raise SystemExit(f"No case from number {asked.first} on has a name that holds {asked.only!r}.")
    kept, done = nights.file(asked.seed), 0
    print(f"seed {asked.seed}, {len(cases)} cases, kept in {kept.name}", flush=True)
    with tempfile.TemporaryDirectory(prefix="faults-", ignore_cleanup_errors=True) as temporary:
        world = World(Path(temporary).resolve())
        for subject in dict.fromkeys(["digits", *(case.subject for _, case in cases)]):
            world.references[subject] = prepare(world, subject)
            print(f"{subject}: undisturbed {world.references[subject].seconds:.1f} s", flush=True)
        for number, case in cases:
            if (time.monotonic() - start) / 60 > asked.minutes:
                break
            report = survive(world, case, third=number % 4 == 0)
            nights.note(kept, number, report)
            print(f"{number:>3} {report.told()}", flush=True)
            done += 1
    print(f"\nseed {asked.seed}, {(time.monotonic() - start) / 60:.0f} minutes\n\n{nights.table(nights.read([kept]))}")
    print(f"\nall nights here\n\n{nights.table(nights.read(nights.all_files()))}")
    if done < len(cases):
        print(f"\nNot at the end: go on with the same command and --from {cases[done][0]}.")
    failed = [line for line in nights.read([kept]) if line["problems"]]
    return int(any(line["number"] in {number for number, _ in cases} for line in failed))


if __name__ == "__main__":
    sys.exit(main())
