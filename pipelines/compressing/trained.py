"""Smaller networks that are trained: the parent's without its weakest units, and one that the parent teaches."""

import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pipelines.compressing import distill, prune, variants
from pipelines.compressing.not_compressed import NotCompressed
from pipelines.compressing.variants import MODEL, OnnxPredictor, Parent
from pipelines.errors import TrainingError
from pipelines.fitting import fit, folder
from pipelines.fitting.fit import Lesson
from pipelines.fitting.settings import Train
from pipelines.hardware.device import Hardware
from pipelines.model import statistics
from pipelines.model.predictor import Predictor
from pipelines.model.statistics import Fitted
from pipelines.onnx import build
from pipelines.table import row_groups
from pipelines.training.data_loader import Split


def recorded(config: Train, about: dict[str, Any]) -> Train:
    """The declared training with the arithmetic that model.json records, on one device."""
    kept = {key: about["hardware"][key] for key in Hardware.model_fields if key in about["hardware"]}
    return config.model_copy(update=kept | {"devices": 1, "workers": 1})


@dataclass(frozen=True)
class Workshop:
    """The rows and settings that the parent was trained with. config: of `recorded`."""

    parent: Parent
    config: Train

    @cached_property
    def splits(self) -> tuple[Split, Split]:
        names = ("train.parquet", "validation.parquet")
        first, second = (Split(self.parent.folder / name, self.parent.data) for name in names)
        return first, second

    @cached_property
    def fitted(self) -> Fitted:
        return statistics.measure(self.parent.data, self.splits[0].pieces, self.config)

    @cached_property
    def network(self) -> Any:
        """keras.Model: the parent's network, from features to probabilities or a scaled number."""
        import keras

        model = Predictor(self.parent.folder / MODEL).model
        (found,) = [layer for layer in model.layers if isinstance(layer, keras.Model)]
        return keras.Model(found.inputs[0], found.outputs[0], name=found.name)

    def pruned(self, share: float, place: Path) -> dict[str, Any]:
        """Raises NotCompressed for a network whose units cannot be cut out."""
        cut = prune.cut(self.network, share)
        model = self._train(self.config, place, build=lambda settings: prune.cut(self.network, share))
        return self._finished(model, self.config, place) | {"weights_kept": self._share(cut.count_params())}

    def distilled(self, sizes: dict[str, list[int]], temperature: float, weight: float, place: Path) -> dict[str, Any]:
        """The smaller network, taught by the parent; `plain`: the same network, trained without it.

        Raises NotCompressed for one that is not smaller.
        """
        config = self.config.model_copy(update=sizes)
        teacher, task = self.network, self.parent.data.task
        lesson = distill.lesson(teacher, config, task, temperature, weight)
        model = self._train(config, place, lesson=lesson)
        count, most = _network(model).count_params(), teacher.count_params()
        if count >= most:
            raise NotCompressed(f"its network has {count:,} weights, and that of the model {most:,}")
        alone = place / "plain"
        alone.mkdir()
        plain = self._finished(self._train(config, alone), config, alone)
        shutil.rmtree(alone)
        kept = {"weights_kept": self._share(count), "plain": {"metrics": plain["metrics"]}}
        return self._finished(model, config, place) | kept

    def _train(
        self, config: Train, place: Path, lesson: Lesson | None = None, build: Any = lambda settings: None
    ) -> Any:
        """Raises NotCompressed for a training that diverges."""
        try:
            return fit.train(config, self.fitted, self.splits, place / "history.csv", build=build, lesson=lesson)
        except TrainingError as error:
            raise NotCompressed(f"it could not be trained: {error.what.rstrip('.')}") from error
        finally:
            for name in ("history.csv", "pace.csv"):
                (place / name).unlink(missing_ok=True)

    def _finished(self, model: Any, config: Train, place: Path) -> dict[str, Any]:
        """Save it below `place` with its serving files and its answers; returns what `variants.measured` says."""
        parent, scale = self.parent, (self.parent.serving["checked"] or {}).get("scale")
        folder.save(model, parent.data, config, self.fitted, place / MODEL, folder.reader_of(self.splits[0].path))
        rows = (batch.to_pandas() for batch in row_groups.batches(parent.folder / "test.parquet"))
        build.build(place / MODEL, place / "serving", rows, scale)
        for path in (place / "serving").iterdir():
            path.rename(place / path.name)
        (place / "serving").rmdir()
        onnx = place / build.FILE
        answering = OnnxPredictor(onnx.read_bytes(), parent.about) if onnx.exists() else Predictor(place / MODEL)
        return variants.measured(place, answering, parent)

    def _share(self, count: int) -> float:
        return round(count / self.network.count_params(), 4)


def _network(model: Any) -> Any:
    import keras

    return next(layer for layer in model.layers if isinstance(layer, keras.Model))
