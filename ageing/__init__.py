"""Face ageing with CycleGAN: what the scripts on top share.

training: from two folders of faces to a pair of generators. faces: from a face in a picture to an aged one. photos,
clips: the files they come in. page: what app.py serves. evaluation: how good a pair of generators is.
"""

import os
import sys
import warnings

# ONNX Runtime tells its maker what it runs, and keeps a number of this machine in the home folder. It reads this once,
# when it is imported: so it is set where every script, test and caller passes first. Worker processes inherit it.
if "onnxruntime" in sys.modules and "ORT_DISABLE_TELEMETRY" not in os.environ:
    warnings.warn("onnxruntime was imported before ageing and may report to its maker: import ageing first, or set "
                  "ORT_DISABLE_TELEMETRY=1", stacklevel=2)
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
