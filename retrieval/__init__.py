"""Knowledge: documents in, passages out."""
