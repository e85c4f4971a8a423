"""No code of its own: mnist_cnn.yaml says it all."""
