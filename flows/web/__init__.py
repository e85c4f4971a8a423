"""Which pages does a person look at? For now the one to try a model on.

May import access and project. It asks the answering server over HTTP and reads no model, so it stalls no answer."""
