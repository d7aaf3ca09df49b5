"""Models as ONNX files, for programs without Python."""

from .onnx_file import Comparison, ExportError, export_model

__all__ = ["Comparison", "ExportError", "export_model"]
