"""From what staff approved to what a model is trained on."""
