"""The methods that FullGrad is compared with."""
