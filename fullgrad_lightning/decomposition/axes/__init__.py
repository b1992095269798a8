"""The axes of tensors that hold the samples and the pixels of the input."""
