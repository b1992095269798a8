"""One operation: how it is called, and the bias that it adds."""
