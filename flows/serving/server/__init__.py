"""How does the answering server run? Its processes, its socket, its connections, and its end.

May import all of flows.serving, and of flows.project small helpers."""
