"""git: the trees that runs have recorded under refs/ratchet, and objects that nothing names any more.

A recorded tree is made again without the files that hold something of a person: its code stays. What a person has
committed or pushed is theirs: it is said, and not changed.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from flows.forget.removal import Removal
from flows.forget.traces import Traces
from flows.graph.provenance import IDENTITY
from flows.project import git, scratch
from flows.project.environment import Project

RECORDED = "refs/ratchet"
LARGEST = 200_000_000  # bytes of an object that is looked at
FAILED, ADVICE = "git could not take rows out of its objects", "Check the repository with `git fsck`, and forget again."


def look(project: Project, model: str, traces: Traces) -> tuple[list[Removal], list[str]]:
    """What goes, and in words what cannot: what the user's own commits hold."""
    if not git.ask(project.home, "rev-parse", "--git-dir"):
        return [], []
    holding = {name for name, content in _blobs(project, _all(project)) if traces.in_bytes(content)}
    if not holding:
        return [], []
    own = _reachable(project, "--exclude=refs/ratchet/*", "--all", "HEAD") & holding
    staged = {line.split()[1] for line in git.ask(project.home, "ls-files", "--stage").splitlines()} & holding
    refs = {ref: paths for ref in _refs(project, model) if (paths := _paths(project, ref, holding))}
    found = [
        Removal("recorded trees", ref, 0, partial(_without, project, ref, paths)) for ref, paths in sorted(refs.items())
    ]
    loose = holding - own - staged
    if loose:
        found.append(Removal("git objects", f"{len(loose)} objects", 0, lambda: _delete(project, traces)))
    left = [f"git: {path} in commits of your own branches" for path in _named(project, own)]
    left += ["git: a file in the index, by `git add`"] if staged - own else []
    return found, left


def _refs(project: Project, model: str) -> list[str]:
    return git.ask(project.home, "for-each-ref", "--format=%(refname)", f"{RECORDED}/{model}/").splitlines()


def _all(project: Project, kinds: Sequence[str] = ("blob",)) -> list[str]:
    """Every object that git has, reachable or not, but for large ones."""
    options = ["--batch-all-objects", "--batch-check=%(objecttype) %(objectsize) %(objectname)"]
    lines = (line.split() for line in git.ask(project.home, "cat-file", *options).splitlines())
    return [name for kind, size, name in lines if kind in kinds and int(size) <= LARGEST]


def _blobs(project: Project, names: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """The content of objects."""
    with git.objects(project.home) as content:
        for name in names:
            yield name, content(name)


def _reachable(project: Project, *from_: str) -> set[str]:
    listed = git.ask(project.home, "rev-list", "--objects", *from_)
    return {line.split(" ", 1)[0] for line in listed.splitlines()}


def _paths(project: Project, ref: str, holding: set[str]) -> list[str]:
    """The files of a commit that hold something."""
    listed = git.ask(project.home, "ls-tree", "-r", "-z", "--full-tree", ref)
    entries = (entry.split("\t", 1) for entry in listed.split("\0") if entry)
    return [path for about, path in entries if about.split()[2] in holding]


def _named(project: Project, blobs: set[str]) -> list[str]:
    """The paths of blobs in the user's own commits."""
    if not blobs:
        return []
    listed = git.ask(project.home, "rev-list", "--objects", "--exclude=refs/ratchet/*", "--all", "HEAD").splitlines()
    pairs = (line.split(" ", 1) for line in listed)
    return sorted({pair[1] for pair in pairs if pair[0] in blobs and len(pair) > 1})


def _without(project: Project, ref: str, paths: list[str]) -> None:
    """The ref names the same tree without these files."""
    commit = git.ask(project.home, "rev-parse", "-q", "--verify", ref)
    if not commit:
        return
    with scratch.folder("index") as folder:
        own = {"GIT_INDEX_FILE": str(folder / "index")} | git.LITERAL
        _git(project, own, "read-tree", commit)
        _git(project, own, "rm", "--cached", "--quiet", "--ignore-unmatch", "--", *paths)
        tree = _git(project, own, "write-tree")
    date = git.ask(project.home, "show", "-s", "--format=%cI", commit)
    parents = [
        part for one in git.ask(project.home, "show", "-s", "--format=%P", commit).split() for part in ("-p", one)
    ]
    dated = IDENTITY | {"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date}
    message = git.ask(project.home, "show", "-s", "--format=%s", commit)
    made = _git(
        project, dated, "commit-tree", tree, *parents, "-m", f"{message}, without files that held forgotten rows"
    )
    _git(project, {}, "update-ref", ref, made, commit)


def _delete(project: Project, traces: Traces) -> None:
    """Delete objects that hold something and that nothing needs: commits, branches, the index and reflogs do."""
    needed = _reachable(project, "--all", "--reflog", "--indexed-objects", "HEAD")
    gone = {name for name, content in _blobs(project, _all(project)) if name not in needed and traces.in_bytes(content)}
    if not gone:
        return
    gone |= _above(project, gone, needed)
    folder = Path(git.ask(project.home, "rev-parse", "--path-format=absolute", "--git-common-dir")) / "objects"
    if any(not _loose(folder, name).is_file() for name in gone):  # in a pack: what nothing names becomes loose files
        _git(project, {}, "repack", "-A", "-d", "--quiet")
    for name in gone:
        _loose(folder, name).unlink(missing_ok=True)
    if (folder / "info" / "commit-graph").exists() or (folder / "info" / "commit-graphs").exists():
        _git(project, {}, "commit-graph", "write", "--reachable")  # git's list of commits named them


def _above(project: Project, gone: set[str], needed: set[str]) -> set[str]:
    """The trees that nothing needs with one of these objects in it, and the commits of such trees."""
    kinds = ("tree", "commit")
    others = dict(_blobs(project, [name for name in _all(project, kinds) if name not in needed]))
    found, last = set[str](), set(gone)
    while last:
        inside = {part for name in last for part in (bytes.fromhex(name), f"tree {name}".encode())}
        last = {name for name, content in others.items() if any(part in content for part in inside)} - found
        found |= last
    return found


def _loose(folder: Path, name: str) -> Path:
    return folder / name[:2] / name[2:]


def commit_of(project: Project, ref: str, commit: str) -> str:
    """The commit that a ref names now, if the one that was recorded is gone; else that one."""
    there = git.run(project.home, "cat-file", "-e", f"{commit}^{{commit}}").returncode == 0
    return commit if there else git.ask(project.home, "rev-parse", "-q", "--verify", ref) or commit


def _git(project: Project, variables: dict[str, str], *arguments: str) -> str:
    return git.do(project.home, *arguments, failed=FAILED, advice=ADVICE, variables=variables)
