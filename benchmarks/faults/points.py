"""What happens to a run, and where: every named point, and random moments."""

import random
import signal
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Fault:
    """One fault: at a `share` of the time of an undisturbed run, or at the call number `count` of `point`, a
    "module:attribute", from `caller`.

    action: one of ACTIONS. process: words in the command line of the process that reaches the point. spare: that one
    lives on, only the run dies.
    """

    name: str
    share: float = 0.0
    point: str = ""
    when: str = "before"
    count: int = 1
    caller: str = ""
    process: str = "flows.cli"
    spare: bool = False
    action: str = "kill"


@dataclass(frozen=True)
class Case:
    """A subject that is disturbed once, or more often.

    fresh: without databases. up: with servers in the background. disk: a folder of the clone, or "tmp", that is a small
    disk of its own; for that one must be root, if only of a namespace.
    """

    subject: str
    faults: tuple[Fault, ...]
    fresh: bool = False
    up: bool = False
    at_once: bool = False
    disk: str = ""

    @property
    def name(self) -> str:
        more = "; servers up" if self.up else f"; disk {self.disk}" if self.disk else ""
        return ", then ".join(fault.name for fault in self.faults) + more


ACTIONS = {  # what happens, and the exit status of the run
    "kill": -signal.SIGKILL,
    "term": 128 + signal.SIGTERM,
    "int": 128 + signal.SIGINT,  # to the whole group, as from a terminal
    "no room": 1,  # the call itself fails with ENOSPC
    "full": 1,  # the disk of the case is filled
}
TRACKER, MIGRATION = "flows.tracking.mlflow_process", "flows.servers.prefect_app"
STAGE = "pipelines.process.fork_server serve networks"  # whose children train, evaluate and try models
CLIENT = "mlflow.tracking.client:MlflowClient"
SETTINGS = "prefect.settings.context:get_current_settings"  # the first thing that Prefect does
STEP = "alembic.ddl.impl:DefaultImpl._exec"  # one statement of a migration


def named() -> list[Case]:
    """Every named point, in the order of a run."""

    def case(subject: str, name: str, point: str, when: str = "before", count: int = 1, **more: Any) -> Case:
        options = {key: more.pop(key) for key in ("fresh", "up", "at_once") if key in more}
        return Case(subject, (Fault(name, 0.0, point, when, count, **more),), **options)

    def digits(name: str, point: str, when: str = "before", count: int = 1, **more: Any) -> Case:
        return case("digits", name, point, when, count, **more)

    def long(name: str, point: str, when: str = "before", count: int = 1, **more: Any) -> Case:
        return case("long", name, point, when, count, **more)

    again = Fault("before its Crashed", 0.0, "flows.processes.orphans:_crash")
    crashed = (Fault("in train", 0.0, "pipelines.training.checkpoints:_write", "after", 4, process=STAGE), again)
    first = {"fresh": True}
    spared = {"process": MIGRATION, "spare": True, "fresh": True, "at_once": True}
    return [
        digits("in Prefect's first migration", STEP, "before", 30, process=MIGRATION, **first),
        digits("before Prefect's first migration, which lives on", SETTINGS, **spared),
        digits("in Prefect's first migration, which lives on", STEP, "before", 30, **spared),
        digits("in MLflow's first migration", STEP, "before", 60, process=TRACKER, **first),
        digits("before what died is ended", "flows.processes.orphans:end"),
        digits("raw.parquet is not whole", "pipelines.table.row_groups:Writer.__exit__", process="-m pipelines ingest"),
        digits("before the report of validate", "pipelines.table.profile:text", process="-m pipelines"),
        digits(
            "a split is not whole",
            "pipelines.table.row_groups:Writer.__exit__",
            "before",
            1,
            process="-m pipelines clean",
        ),
        digits("clean has ended, nothing is saved", "dvc.stage:Stage.save", "before", 3),
        digits("clean's 2nd output is in the cache", "flows.graph.content:_commit", "after", 5, caller="commit"),
        digits("clean is in the run cache", "dvc.stage.cache:StageCache.save", "after", 3),
        digits("between save and dvc.lock", "dvc.stage:Stage.dump", "before", 4),
        digits("before dvc.lock is written", "dvc.utils.serialize._yaml:_dump", "before", 4, caller="dumps_yaml"),
        digits("a file of DVC's is half written", "ruamel.yaml.emitter:Emitter.emit", "before", 400),
        digits("before the rename of dvc.lock", "flows.graph.lock_writer:os.replace", "before", 3, caller="modified"),
        digits("in the writing of rwlock", "dvc.rwlock:json.dump", "before", 20, caller="_edit_rwlock"),
        long("in the writing of a checkpoint", "numpy.lib.format:write_array", "before", 400, process=STAGE),
        long("a checkpoint was renamed", "pipelines.training.checkpoints:_write", "after", 25, process=STAGE),
        long("the training has stopped early", "pipelines.train:save", process=STAGE),
        long("in the saving of the model", "pipelines.model.predictor:write_manifest", process=STAGE),
        long("the model is saved, the checkpoint still there", "pipelines.train:save", "after", process=STAGE),
        long("train has ended, nothing is saved", "dvc.stage:Stage.save", "before", 5),
        long("in train's commit", "flows.graph.content:_commit", "after", 9, caller="commit"),
        digits("in the predictions of evaluate", "pipelines.table.row_groups:Writer.__exit__", process=STAGE),
        digits("before register", "flows.registry.model_registry:register", process=TRACKER),
        digits("before log_model_artifacts", f"{CLIENT}.log_model_artifacts", process=TRACKER),
        digits("after log_model_artifacts", f"{CLIENT}.log_model_artifacts", "after", process=TRACKER),
        digits("after create_model_version", f"{CLIENT}.create_model_version", "after", process=TRACKER),
        digits("in log_facts", f"{CLIENT}.log_batch", "after", caller="log_facts", process=TRACKER),
        digits("after log_files", "flows.tracking.mlflow_runs:log_files", "after", process=TRACKER),
        digits("in finish", f"{CLIENT}.set_terminated", "before", caller="finish", process=TRACKER),
        digits("decide, before the trial", "flows.promotion.trial:run", process=TRACKER),
        digits("decide, in the trial", "mlflow.pyfunc:load_model", "after", caller="_golden", process=STAGE),
        digits("decide, before the ledger", "flows.records.ledger:Ledger.append", process=TRACKER),
        digits("decide, after the ledger", "flows.records.ledger:Ledger.append", "after", process=TRACKER),
        digits("decide, after the alias", f"{CLIENT}.set_registered_model_alias", "after", process=TRACKER),
        digits("decide, after the alias's tag", f"{CLIENT}.set_registered_model_tag", "after", process=TRACKER),
        digits("decide, before the note of the decision", "flows.promotion.decide:note", process=TRACKER),
        digits("decide, in the note of the decision", f"{CLIENT}.set_model_version_tag", "before", 3, process=TRACKER),
        digits("before the Prefect artifacts", "flows.report.prefect_artifacts:show"),
        digits("in the export", "pipelines.export:build", process=STAGE),
        digits("before the serving files are published", "flows.deployment.serving_files:publish", process=TRACKER),
        digits(
            "after the serving files are published", "flows.deployment.serving_files:publish", "after", process=TRACKER
        ),
        digits("before the folder of the live version", "flows.deployment.version_folder:make", process=TRACKER),
        digits(
            "after the folder of the live version", "flows.deployment.version_folder:make", "after", process=TRACKER
        ),
        digits("after live.json", "flows.deployment.live_file:write", "after", process=TRACKER),
        case("elsewhere", "before dvc.lock is put back", "flows.graph.lockfile:_take_back"),
        case("elsewhere", "between the two dvc.lock", "flows.graph.pipeline:Graph.write_lock_entries"),
        digits("after create_model_version", f"{CLIENT}.create_model_version", "after", process=TRACKER, up=True),
        digits("decide, after the ledger", "flows.records.ledger:Ledger.append", "after", process=TRACKER, up=True),
        Case("digits", crashed),
    ]


STEPS = {  # of a run: where each begins, and in which process
    "refresh": ("flows.data.refresh:refresh", "flows.cli"),
    **{
        stage: (f"pipelines.{stage}:run", "-m pipelines")
        for stage in ("ingest", "validate", "clean", "check", "train", "evaluate", "export")
    },
    "publish": ("flows.tracking.publish:publish", TRACKER),
    "decide": ("flows.promotion.decide:decide", TRACKER),
    "deploy": ("flows.deployment.deploy:now", TRACKER),
}


def stopped() -> list[Case]:
    """SIGTERM and Ctrl-C in each step."""
    return [
        Case("digits", (Fault(f"{action} in {step}", 0.0, point, process=process, action=action),))
        for step, (point, process) in STEPS.items()
        for action in ("term", "int")
    ]


WRITES = {  # what is written in a run: where, in which process, and the folder in which it lies
    "a log": ("pipelines.process.lifeline:redirect", "before", "-m pipelines", ".ratchet"),
    "raw.parquet": ("pipelines.table.row_groups:Writer.__enter__", "after", "-m pipelines ingest", "data/digits"),
    "DVC's cache": ("flows.graph.content:_commit", "before", "flows.cli", ".dvc"),
    "dvc.lock": ("flows.graph.lock_writer:os.replace", "before", "flows.cli", "."),
    "a checkpoint": ("pipelines.training.checkpoints:_write", "before", STAGE, "data/digits"),
    "the model": ("pipelines.train:save", "before", STAGE, "data/digits"),
    "Prefect's database": ("flows.run.tasks:stage_times.note", "before", "flows.cli", ".ratchet/prefect"),
    "a scratch folder": ("flows.project.scratch:tempfile.TemporaryDirectory", "before", TRACKER, "tmp"),
    "MLflow's artifacts": (f"{CLIENT}.log_model_artifacts", "before", TRACKER, "mlflow"),
    "MLflow's database": ("flows.tracking.mlflow_runs:log_facts", "before", TRACKER, "mlflow"),
    "the ledger": ("flows.records.ledger:Ledger.append", "before", TRACKER, "mlflow"),
    "the state folder": ("flows.records.attempts:write", "before", "flows.cli", ".ratchet"),
}
FIRST = {"Prefect's first database": MIGRATION, "MLflow's first database": TRACKER}


def without_room() -> list[Case]:
    """Each write of a run fails once because there is no room: the write itself says so, and no disk is really full.

    Prefect's database is written by its server; what that meets no run is told by a number of the system.
    """
    return [
        Case("digits", (Fault(f"no room for {what}", 0.0, point, when, process=process, action="no room"),))
        for what, (point, when, process, _) in WRITES.items()
        if what != "Prefect's database"
    ]


def disks() -> list[Case]:
    """The same on disks that are really full from then on, until somebody makes room."""
    found = []
    for what, (point, when, process, folder) in WRITES.items():
        fault = Fault(f"a disk that is full before {what}", 0.0, point, when, process=process, action="full")
        found += [Case("digits", (fault,), disk=disk) for disk in dict.fromkeys((folder, "."))]
    for what, process in FIRST.items():
        fault = Fault(f"a disk that is full in {what}", 0.0, STEP, "before", 30, process=process, action="full")
        folder = ".ratchet/prefect" if process == MIGRATION else "mlflow"
        found.append(Case("digits", (fault,), fresh=True, disk=folder))
    return found


def moments(subjects: list[str], number: int, chance: random.Random) -> list[Case]:
    """Random moments, one in each of equal parts of a run, for one subject after the other."""
    shares = [(part + chance.random()) / number for part in range(number)]
    chance.shuffle(shares)
    return [Case(subjects[index % len(subjects)], (at(share),)) for index, share in enumerate(shares)]


def at(share: float) -> Fault:
    return Fault(f"at {100 * share:.1f} %", share)
