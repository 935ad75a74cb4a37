"""Networks in ONNX files, run by ONNX Runtime on the processor."""

import onnxruntime

onnxruntime.disable_telemetry_events()  # of use on Windows only; for the others see ageing/__init__.py


def open_session(network, threads=0):
    """An InferenceSession. network: path or bytes of an ONNX file. threads: 0 uses all processors."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what goes wrong is told by the exception
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
