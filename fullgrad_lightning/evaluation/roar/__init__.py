"""Remove-and-retrain (ROAR): a grid of trainings that evaluates saliency methods.

After Hooker et al., "A Benchmark for Interpretability Methods in Deep Neural Networks", NeurIPS
2019, as §5.2 of the FullGrad paper uses it.
"""
