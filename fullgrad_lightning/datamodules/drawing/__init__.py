"""How the images of ``ShapesDataModule`` are drawn."""
