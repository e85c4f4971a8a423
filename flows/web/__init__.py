"""Which pages does a person look at? The overview, the one to try a model on, and the one to label.

May import access and project. It asks the answering server over HTTP and reads no model, so it stalls no answer."""
