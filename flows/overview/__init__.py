"""How are all models doing? A record of each, read from files, and the worst of its parts; and the pages with them.

May import every package but cli, inspect and retrain; neither MLflow nor Prefect nor DVC: a page must come at once."""
