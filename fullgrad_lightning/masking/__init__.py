"""Which pixels are taken from an image, what is put there, and the store of pixels' ranks."""
