"""Networks by name, and the LightningModules that train and explain them."""

from fullgrad_lightning.models.classifier import ImageClassifier
from fullgrad_lightning.models.factory import build_model, model_names
from fullgrad_lightning.models.saliency_predictor import SaliencyPredictor
from fullgrad_lightning.models.vgg9 import vgg9

__all__ = ["ImageClassifier", "SaliencyPredictor", "build_model", "model_names", "vgg9"]
