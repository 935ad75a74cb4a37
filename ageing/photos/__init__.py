"""Photo files, and the batch of them that `infer_faces.py` edits."""
