"""Evaluation of saliency methods: with retraining (``roar``) and without."""
