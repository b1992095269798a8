"""Operations: recorded calls, the biases that they add, and the table of their facts."""
