"""What does the champion answer to raw rows, at once and over a network?

May import pipelines, and of flows small helpers of project alone; no MLflow, Prefect, DVC, TensorFlow or pandas.
"""
