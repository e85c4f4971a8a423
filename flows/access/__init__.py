"""Who may ask a server? Tokens of callers, and the names that a server may be called by.

May import project, and no library: the answering server and the pages both use it."""
