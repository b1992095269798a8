"""What is made of the stream of bias-gradients."""
