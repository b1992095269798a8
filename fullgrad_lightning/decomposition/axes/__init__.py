"""Where tensors hold the samples and the pixels of the input."""
