"""How are all models doing? A record of each, read from files, and the worst of its parts; and the pages with them.

May import every package but cli, inspect and retrain. No module of it imports MLflow, Prefect or DVC: it answers a
person who opens a page, at once.
"""
