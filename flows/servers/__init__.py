"""Which servers are up, and who may speak to them? Prefect's and MLflow's, on loopback.

May import project.
"""
