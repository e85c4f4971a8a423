"""What happens around the stages: Prefect flows, MLflow's runs and registry, and the command line."""
