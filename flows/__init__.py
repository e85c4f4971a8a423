"""What happens around the graph: Prefect flows, MLflow, the command line."""
