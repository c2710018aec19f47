"""Exported networks: ONNX, LiteRT, SavedModel and OpenVINO files, their checks and descriptions."""
