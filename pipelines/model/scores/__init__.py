"""Which metrics are there? One module for each, which declares its `Metric`.

May import metric, beside scikit-learn.
"""
