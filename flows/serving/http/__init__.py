"""How do requests come in, and answers go out? Addresses, limits, problems, access, metrics and descriptions.

May import flows.access, and of flows.serving the rest but the processes that run it."""
