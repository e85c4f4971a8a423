"""No code of its own: mnist.yaml says it all."""
