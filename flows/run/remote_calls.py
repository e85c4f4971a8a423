"""The functions that a run calls in the MLflow process (flows/tracking/mlflow_process.py), each by its name.

Importing them here would take the seconds that the MLflow process saves. So only the type checker imports them: for
mypy and the import rules each name is the function; in a running program it is the function's location.
"""

from typing import TYPE_CHECKING

from flows.tracking.mlflow_process import Remote

if TYPE_CHECKING:
    from flows.compression.decide import decide as choose_form
    from flows.data.versions import pinned
    from flows.deployment.deploy import now as make_live
    from flows.deployment.explanation_files import of_run as publish_explanations
    from flows.deployment.serving_files import of_run as publish_serving
    from flows.promotion.decide import decide
    from flows.promotion.rivals.known import known
    from flows.tracking.metering import begin as measure
    from flows.tracking.metering import end as measured
    from flows.tracking.metering import restored as no_training
    from flows.tracking.metering import train as measure_training
    from flows.tracking.metering import trained as training_ended
    from flows.tracking.mlflow_runs import end, forward
    from flows.tracking.publish import publish
    from flows.tracking.refusal import log as log_refusal
else:
    choose_form = Remote("flows.compression.decide:decide")
    pinned = Remote("flows.data.versions:pinned")
    make_live = Remote("flows.deployment.deploy:now")
    publish_explanations = Remote("flows.deployment.explanation_files:of_run")
    publish_serving = Remote("flows.deployment.serving_files:of_run")
    decide = Remote("flows.promotion.decide:decide")
    known = Remote("flows.promotion.rivals.known:known")
    measure = Remote("flows.tracking.metering:begin")
    measured = Remote("flows.tracking.metering:end")
    no_training = Remote("flows.tracking.metering:restored")
    measure_training = Remote("flows.tracking.metering:train")
    training_ended = Remote("flows.tracking.metering:trained")
    end = Remote("flows.tracking.mlflow_runs:end")
    forward = Remote("flows.tracking.mlflow_runs:forward")
    publish = Remote("flows.tracking.publish:publish")
    log_refusal = Remote("flows.tracking.refusal:log")

PRELOADED = (
    "flows.promotion.decide",
    "flows.tracking.publish",
    "flows.deployment.deploy",
)  # imported while the stages work
