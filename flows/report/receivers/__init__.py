"""Who is told of what happened? Hooks of the machine, and addresses of mail, Slack and others."""
